// manifold-ipam as a program over the cluster's leases, with no more rights than its role has: each verb, and how often
// it asks the API server.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { bundleIpam, callIpam } from '../faults/ipam-program.ts';
import { leasesOf, readAll, withLeases } from '../kit/cluster-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createServiceAccount, serviceAccountToken } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { POOLS_PATH, poolObject } from '../kit/lease-object.ts';

let cluster: Cluster;
let proxy: FaultProxy;
let admin: KubeClient;
let programs: string;
let program: string;
let kubeconfig: string;
let root: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  await applyManifests(cluster, ['rbac.yaml']);
  proxy = await FaultProxy.start(cluster);
  const token = await serviceAccountToken(cluster, {
    namespace: 'kube-system',
    serviceAccount: 'manifold-plugin',
  });
  kubeconfig = proxy.kubeconfig({ token });
  programs = mkdtempSync(join(tmpdir(), 'manifold-program-'));
  program = bundleIpam(programs);
});
afterAll(async () => {
  admin.close();
  await proxy.close();
  rmSync(programs, { recursive: true });
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-node-'));
});
afterEach(async () => {
  rmSync(root, { recursive: true });
  await proxy.clear();
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
});

const wide = { range: '10.16.0.0/12' };
const small = { range: '10.0.0.0/30' };

const call = (verb: Verb, container: string, ipam: JsonObject = wide, more: JsonObject = {}) =>
  callIpam(program, {
    ...{ verb, container },
    config: {
      ...{ cniVersion: '1.1.0', name: 'rail0', type: 'macvlan', ipam: { type: 'manifold-ipam', ...ipam } },
      manifold: { stateDir: join(root, 'state'), runDir: join(root, 'run'), kubeconfig, nodeName: 'n1' },
      ...more,
    },
  });

/** What was asked for since the last call: "POST ipleases 201". */
function calls(): string[] {
  const said = proxy.requests.map(({ method, path, status }) => `${method} ${path.split('/')[4]} ${status}`);
  proxy.requests.length = 0;
  return said;
}

test('ADD, CHECK and DEL ask once each', async () => {
  const { address = '' } = await call('ADD', 'a');
  expect(calls()).toEqual(['POST ipleases 201']);
  expect(await leasesOf(admin)).toEqual([`${address.replace('/12', '')} Held a n1`]);
  const added = { prevResult: { cniVersion: '1.1.0', ips: [{ address }] } };
  expect(await call('CHECK', 'a', wide, added)).toMatchObject({ code: 0 });
  expect(calls()).toEqual(['GET ipleases 200']);
  expect(await call('CHECK', 'b', wide, added)).toMatchObject({
    msg: expect.stringContaining('is leased to pod ns/a'),
  });
  calls();
  expect(await call('DEL', 'a')).toMatchObject({ code: 0 });
  expect(calls()).toEqual(['PUT ipleases 200']);
  expect(await call('DEL', 'a')).toMatchObject({ code: 0 });
  expect(calls()).toEqual([]);
  expect(await call('CHECK', 'a', wide, added)).toMatchObject({
    msg: expect.stringContaining('was released, last held by'),
  });
});

test('STATUS is content while leases can be made, and says who holds what when none is left', async () => {
  expect(await call('STATUS', '')).toMatchObject({ code: 0 });
  expect(calls()).toEqual(['POST selfsubjectaccessreviews 201', 'GET ipleases 404']);
  expect(await call('STATUS', '', small)).toMatchObject({ code: 0 });
  expect(calls()).toEqual(['GET ipleases 200']);
  for (const container of ['a', 'b']) await call('ADD', container, small);
  expect((await call('STATUS', '', small)).msg).toBe(
    'Cannot serve ADD: no address of network rail0 is free, all 2 of 10.0.0.1-10.0.0.2 are held (ns 2; by node: n1 2)',
  );
  await call('DEL', 'a', small);
  expect(await call('STATUS', '', small)).toMatchObject({ code: 0 });
});

test('STATUS says that the API server is away, and which role is missing', async () => {
  await proxy.setMode('refuse');
  expect((await call('STATUS', '')).msg).toContain(
    'Cannot create selfsubjectaccessreviews.authorization.k8s.io',
  );
  await proxy.setMode('open');
  await createServiceAccount(cluster, 'kube-system', 'nobody');
  const token = await serviceAccountToken(cluster, { namespace: 'kube-system', serviceAccount: 'nobody' });
  const manifold = { stateDir: join(root, 'state'), runDir: join(root, 'run') };
  const as = (user: string) => call('STATUS', '', wide, { manifold: { ...manifold, kubeconfig: user } });
  expect((await as(proxy.kubeconfig({ token }))).msg).toContain('this node may not create ipleases');
  expect((await as('/no/such/file')).msg).toContain('/no/such/file');
});

test('DEL succeeds while the API server is away, also when the ranges are broken by now; the next ADD ends what it left', async () => {
  for (const container of ['a', 'b']) await call('ADD', container);
  await proxy.setMode('refuse');
  expect(await call('DEL', 'a')).toMatchObject({ code: 0 });
  expect(await call('DEL', 'b', { range: 'broken' })).toMatchObject({ code: 0 });
  await proxy.setMode('open');
  calls();
  await call('ADD', 'c');
  expect(calls()).toEqual(['POST ipleases 201', 'PUT ipleases 200', 'PUT ipleases 200']);
  expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual([
    expect.stringMatching(/ c n1$/),
  ]);
});

test('a kubeconfig that is no longer named: DEL marks the leases, and the next call that names it ends them', async () => {
  await call('ADD', 'a');
  const manifold = { stateDir: join(root, 'state'), runDir: join(root, 'run') };
  expect(await call('DEL', 'a', wide, { manifold })).toMatchObject({ code: 0 });
  expect(await leasesOf(admin)).toEqual([expect.stringMatching(/ Held a n1$/)]);
  await call('ADD', 'b');
  expect(await leasesOf(admin)).toContainEqual(expect.stringMatching(/ Resting a n1$/));
});

test('GC ends what is not valid', async () => {
  for (const container of ['a', 'b']) await call('ADD', container);
  await call('GC', '', wide, { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'net1' }] });
  expect((await leasesOf(admin)).map((line) => line.split(' ').slice(1, 3).join(' ')).sort()).toEqual([
    'Held b',
    'Resting a',
  ]);
});

test('an IPPool is named in place of a range, read once for a burst, and only for whom it is', async () => {
  const spec = { range: '10.5.0.0/24', rangeStart: '10.5.0.7', namespaces: ['ns'], nodes: ['n*'] };
  await cluster.api('POST', POOLS_PATH, poolObject(spec, 'rails'));
  await cluster.api('POST', POOLS_PATH, poolObject({ ...spec, namespaces: ['team-*'] }, 'theirs'));
  expect(await call('ADD', 'a', { pool: 'rails' })).toMatchObject({ address: '10.5.0.7/24' });
  expect(calls()).toEqual(['GET ippools 200', 'GET ipleases 200', 'POST ipleases 201']);
  expect(await call('ADD', 'b', { pool: 'rails' })).toMatchObject({ address: '10.5.0.8/24' });
  expect(calls()).toEqual(['GET ipleases 200', 'POST ipleases 201']);
  expect((await call('ADD', 'c', { pool: 'theirs' })).msg).toBe(
    'Cannot use IPPool theirs for pods of namespace ns: it is for namespaces team-*',
  );
  expect((await call('ADD', 'c', { pool: 'none' })).msg).toBe(
    `Cannot use 'ipam.pool': there is no IPPool "none"`,
  );
  expect(await call('DEL', 'a', { pool: 'rails' })).toMatchObject({ code: 0 });
  expect(await leasesOf(admin)).toContainEqual('10.5.0.7 Resting a n1');
});
