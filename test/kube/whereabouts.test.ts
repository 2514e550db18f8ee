// While Whereabouts may run in the same cluster: what a claim of ours tells it, and what it tells us.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { THEIR_RESERVATIONS } from '../../ipam/whereabouts/objects.ts';
import { createWhereabouts } from '../../ipam/whereabouts/plugin.ts';
import { createReservations } from '../../ipam/whereabouts/reservations.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { callPlugin } from '../kit/call-plugin.ts';
import { runCommand } from '../kit/cli.ts';
import { ClusterNode, leasesOf, readAll, withLeases } from '../kit/cluster-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { serviceAccountToken } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { leaseObject } from '../kit/lease-object.ts';
import {
  clearWhereabouts,
  createTheirPool,
  createTheirReservation,
  deleteTheirReservation,
  installWhereabouts,
  removeWhereabouts,
  theirPools,
  theirReservations,
} from '../kit/whereabouts-objects.ts';

let cluster: Cluster;
let proxy: FaultProxy;
let admin: KubeClient;
/** With the plugin's rights, and those for a migration: no more. */
let kubeconfig: string;
let nodes: ClusterNode[];

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  proxy = await FaultProxy.start(cluster);
  await installWhereabouts(cluster);
  await applyManifests(cluster, ['rbac.yaml']);
  const subject = ['--clusterrole=manifold-migration', '--serviceaccount=kube-system:manifold-plugin'];
  await cluster.kubectl('create', 'rolebinding', 'manifold-migration', '-n', 'kube-system', ...subject);
  const token = await serviceAccountToken(cluster, {
    namespace: 'kube-system',
    serviceAccount: 'manifold-plugin',
  });
  kubeconfig = proxy.kubeconfig({ token });
  // The first object of a new kind takes the API server a second.
  await createTheirReservation(cluster, 'first', { podref: 'a/b' });
  await clearWhereabouts(cluster);
});
afterAll(async () => {
  await clearWhereabouts(cluster);
  admin.close();
  await proxy.close();
});
beforeEach(() => {
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) expect(node.close()).toEqual([]);
  await clearWhereabouts(cluster);
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
  proxy.requests.length = 0;
});

function node(name = 'n1'): ClusterNode {
  const client = openKubeClient(kubeconfig, { timeoutMs: 2500 });
  const reservations = createReservations({ client, namespace: async () => 'kube-system' });
  const made = new ClusterNode(kubeconfig, name, { client, reservations });
  nodes.push(made);
  return made;
}

/** "POST ippools 201" */
function calls(): string[] {
  const said = proxy.requests.map(({ method, path, status }) => {
    const [, plural] = /\/(ipleases|ippools|overlappingrangeipreservations)/.exec(path) ?? [];
    return `${method} ${plural} ${status}`;
  });
  proxy.requests.length = 0;
  return said;
}

const small = { range: '10.0.0.0/29' }; // 1 to 6
/** After a conflict the next is drawn among the highest two: here there is but one. */
const two = { range: '10.0.0.0/29', range_end: '10.0.0.2' };
const CLAIM = 'ipam.manifold.dev/claim';

describe('a claim', () => {
  test('makes the reservation before the lease, and its DEL takes it back after it', async () => {
    const n1 = node();
    expect(await n1.give(small, { uid: 'u1', namespace: 'shop' })).toEqual(['10.0.0.6']);
    expect(calls()).toEqual([
      'GET ipleases 200',
      'GET overlappingrangeipreservations 200',
      'POST overlappingrangeipreservations 201',
      'GET ippools 404',
      'GET ippools 200',
      'POST ipleases 201',
    ]);
    const [reservation] = await theirReservations(cluster);
    expect(reservation).toMatchObject({
      metadata: {
        name: '10.0.0.6',
        namespace: 'kube-system',
        labels: { [CLAIM]: 'true' },
        finalizers: [CLAIM],
      },
      spec: { podref: 'shop/u1', ifname: 'net1', containerid: 'c1' },
    });
    await n1.free('c1');
    expect(await theirReservations(cluster)).toEqual([]);
    expect(await leasesOf(admin)).toEqual(['10.0.0.6 Resting c1 n1']);
  });

  test('in a named network, and of an IPv6 address, is named as Whereabouts names it', async () => {
    const n1 = node();
    await n1.give({ range: '10.0.0.0/29', network_name: 'blue', ipRanges: [{ range: 'fd00::/124' }] });
    expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name).sort()).toEqual([
      'blue-10.0.0.6',
      'blue-fd00--f',
    ]);
  });

  test('passes over what Whereabouts has reserved', async () => {
    await createTheirReservation(cluster, '10.0.0.2', { podref: 'a/b', ifname: 'net1' });
    await createTheirReservation(cluster, 'blue-10.0.0.1', { podref: 'a/b', ifname: 'net1' });
    expect(await node().give(two)).toEqual(['10.0.0.1']);
    expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name).sort()).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      'blue-10.0.0.1',
    ]);
  });

  test('passes over what is in its pool without a reservation', async () => {
    await createTheirPool(cluster, '10.0.0.0-29', '10.0.0.0/29', {
      2: { id: 'x', podref: 'a/b', ifname: 'net1' },
    });
    const n1 = node();
    expect(await n1.give(two)).toEqual(['10.0.0.1']);
    expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name)).toEqual(['10.0.0.1']);
  });

  test('passes over what is in the slice of a node', async () => {
    const allocations = { 2: { id: 'x', podref: 'a/b', ifname: 'net1' } };
    await createTheirPool(cluster, 'blue-worker-1-10.0.0.0-30', '10.0.0.0/30', allocations);
    await createTheirPool(cluster, 'green-worker-1-10.0.0.0-30', '10.0.0.0/30', { 1: allocations[2] });
    expect(await node().give({ ...two, network_name: 'blue' })).toEqual(['10.0.0.1']);
  });

  test('says who has an address that is asked for', async () => {
    await createTheirReservation(cluster, '10.0.0.3', { podref: 'shop/db-0', ifname: 'net7' });
    await expect(node().give(small, { ip: '10.0.0.3' })).rejects.toThrow(
      /pod shop\/db-0 on node \(Whereabouts\) holds it as net7 on network \(Whereabouts\) since 20/,
    );
  });

  test('of an exhausted range counts what Whereabouts holds', async () => {
    for (const last of [2, 3, 4, 5, 6])
      await createTheirReservation(cluster, `10.0.0.${last}`, { podref: `shop/p${last}` });
    const n1 = node();
    expect(await n1.give(small, { container: 'a' })).toEqual(['10.0.0.1']);
    await expect(n1.give(small, { container: 'b' })).rejects.toThrow(
      /all 6 of 10\.0\.0\.1-10\.0\.0\.6 are held.*shop.* 5/,
    );
  });

  test('of a definition without overlapping ranges is refused, for Whereabouts would not see it', async () => {
    await expect(node().give({ ...small, enable_overlapping_ranges: false })).rejects.toThrow(
      'Cannot share 10.0.0.6 with Whereabouts',
    );
  });
});

describe('a reservation of ours', () => {
  test('goes when its lease is released by hand', async () => {
    await node('lost').give(small, { uid: 'u-gone' });
    const { stdout } = await runCommand([
      'leases',
      'release',
      '10.0.0.6',
      '--kubeconfig',
      cluster.kubeconfig(),
    ]);
    expect(stdout).toContain('Its reservation with Whereabouts is removed, too: kube-system/10.0.0.6.');
    expect(await theirReservations(cluster)).toEqual([]);
  });

  test('outlives that Whereabouts deletes it by name', async () => {
    const n1 = node();
    await n1.give(small);
    await deleteTheirReservation(cluster, '10.0.0.6');
    const [reservation] = await theirReservations(cluster);
    expect(reservation?.metadata.deletionTimestamp).toBeDefined();
    await n1.free('c1');
    expect(await theirReservations(cluster)).toEqual([]);
  });

  test('goes with the pod to its next sandbox, and a late DEL of the old one leaves it', async () => {
    const n1 = node();
    await n1.give(small, { uid: 'u1', container: 'a' });
    await n1.give(small, { uid: 'u1', container: 'b' });
    expect((await theirReservations(cluster)).map(({ spec }) => spec.containerid)).toEqual(['b']);
    await n1.free('a');
    expect(await theirReservations(cluster)).toHaveLength(1);
    await n1.free('b');
    expect(await theirReservations(cluster)).toEqual([]);
  });

  test('that a dead process left without a lease is taken over after a minute', async () => {
    const n1 = node();
    const leave = async (name: string, since: number) => {
      await createTheirReservation(cluster, name, { podref: 'ns/dead', ifname: 'net1', containerid: 'dead' });
      const path = `/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations/${name}`;
      const annotations = {
        'ipam.manifold.dev/owner': 'dead',
        'ipam.manifold.dev/since': new Date(Date.now() - since).toISOString(),
      };
      const patch = { metadata: { labels: { [CLAIM]: 'true' }, annotations, finalizers: [CLAIM] } };
      await cluster.api('PATCH', path, patch, 'application/merge-patch+json');
    };
    await leave('10.0.0.2', 10_000);
    await leave('10.0.0.1', 120_000);
    expect(await n1.give(two)).toEqual(['10.0.0.1']);
    expect((await theirReservations(cluster)).map(({ spec }) => spec.podref)).toEqual(['ns/c1', 'ns/dead']);
  });
});

describe('the DEL of a container that Whereabouts has attached', () => {
  const conf = (more = {}) => ({
    ...{ cniVersion: '1.0.0', name: 'rail0', type: 'macvlan' },
    ipam: { type: 'whereabouts', range: '10.0.0.0/29', kubernetes: { kubeconfig }, ...more },
  });

  async function del(ipam: object, containerId: string) {
    const n1 = node();
    const plugin = createWhereabouts({
      ...{ kernel: n1.deps.kernel, openStore: () => n1.node, kube: () => n1.client, now: Date.now },
    });
    const env = {
      CNI_COMMAND: 'DEL',
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: 'net1',
      CNI_PATH: '/nowhere',
    };
    return callPlugin(plugin, env, conf(ipam));
  }

  beforeEach(async () => {
    await createTheirPool(cluster, '10.0.0.0-29', '10.0.0.0/29', {
      1: { id: 'mine', podref: 'a/b', ifname: 'net1' },
      2: { id: 'mine', podref: 'a/b', ifname: 'net2' },
      3: { id: 'other', podref: 'a/c', ifname: 'net1' },
    });
    for (const [last, podref] of Object.entries({ 1: 'a/b', 2: 'a/b', 3: 'a/c' }))
      await createTheirReservation(cluster, `10.0.0.${last}`, { podref, ifname: 'net1' });
    const owner = { podNamespace: 'a', podName: 'b', uid: 'u', interface: 'net1', containerID: 'mine' };
    await admin.create<IpLease>(
      IP_LEASES,
      leaseObject({ address: '10.0.0.1', subnet: '10.0.0.0/29', owner }),
      {
        isOurs: () => false,
      },
    );
  });

  test('ends its allocation, its reservation and its lease, and no other', async () => {
    expect(await del({}, 'mine')).toMatchObject({ exitCode: 0 });
    const [pool] = await theirPools(cluster);
    expect(Object.keys(pool?.spec.allocations ?? {})).toEqual(['2', '3']);
    expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name)).toEqual([
      '10.0.0.2',
      '10.0.0.3',
    ]);
    expect(await leasesOf(admin)).toEqual(['10.0.0.1 Resting mine n1']);
  });

  test('of a container that nobody knows changes nothing', async () => {
    expect(await del({}, 'unknown')).toMatchObject({ exitCode: 0 });
    expect(Object.keys((await theirPools(cluster))[0]?.spec.allocations ?? {})).toEqual(['1', '2', '3']);
    expect(await theirReservations(cluster)).toHaveLength(3);
    expect(await leasesOf(admin)).toEqual(['10.0.0.1 Held mine n1']);
  });
});

test('without the right to look at reservations a claim says what to do', async () => {
  const token = await serviceAccountToken(cluster, {
    namespace: 'kube-system',
    serviceAccount: 'manifold-agent',
  });
  const client = openKubeClient(proxy.kubeconfig({ token }), { timeoutMs: 2500 });
  const reservations = createReservations({ client, namespace: async () => 'kube-system' });
  for (const range of ['10.0.0.0/29', '10.16.0.0/12']) {
    const n1 = new ClusterNode(proxy.kubeconfig({ token }), 'n1', { client, reservations });
    await expect(n1.give({ range })).rejects.toMatchObject({
      message: expect.stringContaining('overlappingrangeipreservations'),
      hint: expect.stringContaining('set manifold.whereabouts to "closed"'),
    });
    expect(n1.close()).toEqual([]);
  }
  expect(await leasesOf(admin)).toEqual([]);
});

describe('where Whereabouts is not installed', () => {
  beforeAll(() => removeWhereabouts(cluster));

  test('a claim costs one call more, and a definition without overlapping ranges is served', async () => {
    const n1 = node();
    expect(await n1.give({ range: '10.16.0.0/12' })).toHaveLength(1);
    expect(calls()).toEqual(['POST overlappingrangeipreservations 404', 'POST ipleases 201']);
    expect(await n1.give({ ...small, enable_overlapping_ranges: false }, { container: 'b' })).toEqual([
      '10.0.0.1',
    ]);
    await n1.free('b');
    await n1.free('c1');
    expect(await leasesOf(admin)).toHaveLength(2);
  });

  test('a node without rights to its objects is served, too', async () => {
    const token = await serviceAccountToken(cluster, {
      namespace: 'kube-system',
      serviceAccount: 'manifold-plugin',
    });
    await cluster.kubectl('delete', 'rolebinding', 'manifold-migration', '-n', 'kube-system');
    const client = openKubeClient(proxy.kubeconfig({ token }), { timeoutMs: 2500 });
    await expect
      .poll(() => client.list(THEIR_RESERVATIONS, { namespace: 'kube-system' }).then(String, reasonOf))
      .toBe('Forbidden');
    calls();
    const n1 = node();
    expect(await n1.give({ range: '10.16.0.0/12' })).toHaveLength(1);
    expect(calls()).toEqual([
      'POST overlappingrangeipreservations 403',
      'GET undefined 404',
      'POST ipleases 201',
    ]);
    await n1.free('c1');
    expect(await leasesOf(admin)).toHaveLength(1);
  });
});

const reasonOf = (error: unknown) => (isKubeError(error) ? error.reason : String(error));
