// Pods whose definitions name the IPAM plugin "whereabouts", under the meta plugin: ours in its process where the file
// of that name is ours, else whatever that file is.
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { leasesOf, readAll, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { type Relay, relayInto } from '../kit/relay.ts';
import { DIST_BIN } from '../kit/test-node.ts';
import { clearWhereabouts, installWhereabouts, theirReservations } from '../kit/whereabouts-objects.ts';

let cluster: Cluster;
let admin: KubeClient;
let node: MetaNode;
let relay: Relay;

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  await installWhereabouts(cluster);
});
afterAll(async () => {
  await clearWhereabouts(cluster);
  admin.close();
});
beforeEach(async () => {
  node = new MetaNode();
  relay = await relayInto(node.name, Number(new URL(cluster.url).port), node.directory);
});
afterEach(async () => {
  await relay.close();
  node.close();
  await clearWhereabouts(cluster);
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
});

const whereaboutsNetwork = (ipam: JsonObject): JsonObject => ({
  ...node.macvlan({}),
  ipam: { type: 'whereabouts', datastore: 'kubernetes', node_slice_size: '/28', ...ipam },
});

test('ours gives an address of the cluster and reserves it, and DEL frees both', async () => {
  symlinkSync(join(DIST_BIN, 'manifold'), join(node.binDir, 'whereabouts'));
  const flat = join(node.directory, 'whereabouts.conf');
  writeFileSync(
    flat,
    JSON.stringify({ kubernetes: { kubeconfig: cluster.kubeconfig() }, log_level: 'debug' }),
  );
  node.define('default', 'rail', whereaboutsNetwork({ range: '10.20.0.0/24', configuration_path: flat }));
  node.addPod('p');
  const conf = { manifold: { nodeName: 'n1' } };
  const { code, json, stderr } = await node.manifoldCall('ADD', 'p', { networks: 'rail', conf });
  expect({ code, json }).toMatchObject({ code: 0 });
  expect(stderr).toContain('node_slice_size');
  expect(node.addresses('p')).toEqual(['eth0 10.1.0.2/24', 'net1 10.20.0.254/24']);
  const [lease] = (await readAll(admin)) as readonly IpLease[];
  expect(lease?.spec).toMatchObject({
    address: '10.20.0.254',
    phase: 'Held',
    node: 'n1',
    owner: { uid: 'uid-p', podName: 'p' },
  });
  expect(
    (await theirReservations(cluster)).map(({ metadata, spec }) => `${metadata.name} ${spec.podref}`),
  ).toEqual(['10.20.0.254 default/p']);
  expect(node.read((store) => store.clusterLeases.all()).map(({ state }) => state)).toEqual(['held']);
  expect(await node.manifoldCall('DEL', 'p', { networks: 'rail', conf })).toMatchObject({ code: 0 });
  expect((await leasesOf(admin)).map((line) => line.split(' ')[1])).toEqual(['Resting']);
  expect(await theirReservations(cluster)).toEqual([]);
});

test('another project’s is executed, and no lease is made', async () => {
  const answer = { cniVersion: '1.1.0', ips: [{ address: '10.20.0.77/24' }] };
  const file = join(node.binDir, 'whereabouts');
  writeFileSync(file, `#!/bin/sh\n[ "$CNI_COMMAND" != ADD ] || echo '${JSON.stringify(answer)}'\n`, {
    mode: 0o755,
  });
  node.define('default', 'rail', whereaboutsNetwork({ range: '10.20.0.0/24' }));
  node.addPod('p');
  expect(await node.manifoldCall('ADD', 'p', { networks: 'rail' })).toMatchObject({ code: 0 });
  expect(node.addresses('p')).toEqual(['eth0 10.1.0.2/24', 'net1 10.20.0.77/24']);
  expect(await leasesOf(admin)).toEqual([]);
  expect(await node.manifoldCall('DEL', 'p', { networks: 'rail' })).toMatchObject({ code: 0 });
});
