// Pods with several networks under the meta plugin, some with addresses of the cluster, some of the node.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { leasesOf, readAll, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { type Relay, relayInto } from '../kit/relay.ts';

let cluster: Cluster;
let proxy: FaultProxy;
let admin: KubeClient;
let node: MetaNode;
let relay: Relay;

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  proxy = await FaultProxy.start(cluster);
});
afterAll(async () => {
  admin.close();
  await proxy.close();
});
beforeEach(async () => {
  node = new MetaNode();
  relay = await relayInto(node.name, Number(new URL(proxy.url).port), node.directory);
});
afterEach(async () => {
  await relay.close();
  node.close();
  await proxy.clear();
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
});

const calls = () => proxy.requests.map(({ method, status }) => `${method} ${status}`);
/** The node's own settings, which hold for every network. */
const cluster0 = () => ({ manifold: { kubeconfig: proxy.kubeconfig(), nodeName: 'n1' } });

test('all addresses of a pod are claimed at once before its first interface, one call each, and freed by one each', async () => {
  node.addPod('p');
  const networks = node.defineRails(3);
  const conf = cluster0();
  const { code, json } = await node.manifoldCall('ADD', 'p', { networks, conf });
  expect({ code, json }).toMatchObject({ code: 0 });
  // /24: the lowest, for a list and a creation each.
  expect(calls().toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => 'GET 200'),
    ...Array.from({ length: 4 }, () => 'POST 201'),
  ]);
  expect(node.addresses('p')).toEqual([
    'eth0 10.1.0.2/24',
    ...['net1', 'net2', 'net3'].map((ifname, i) => `${ifname} 10.2.${i}.1/24`),
  ]);
  expect(node.read((store) => store.clusterLeases.all()).map(({ state }) => state)).toEqual(
    Array.from({ length: 4 }, () => 'held'),
  );
  expect(node.leased()).toEqual([]);
  proxy.requests.length = 0;
  expect(await node.manifoldCall('DEL', 'p', { networks, conf })).toMatchObject({ code: 0 });
  expect(calls()).toEqual(Array.from({ length: 4 }, () => 'PUT 200'));
  expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual([]);
});

test('one network of the cluster without an address left: the pod is given none anywhere, of the node’s store neither', async () => {
  node.addPod('p');
  const manifold = { kubeconfig: proxy.kubeconfig(), nodeName: 'n1' };
  node.define('default', 'full', { ...node.macvlan({ range: '10.9.0.0/31' }), manifold });
  for (const pod of ['a', 'b']) {
    node.addPod(pod);
    expect(await node.manifoldCall('ADD', pod, { networks: 'full' })).toMatchObject({ code: 0 });
  }
  const before = [node.leased(), await leasesOf(admin)];
  const { code, json } = await node.manifoldCall('ADD', 'p', { networks: 'full' });
  expect(code).toBe(1);
  expect(json).toMatchObject({
    code: 11,
    msg: expect.stringContaining('all 2 of 10.9.0.0-10.9.0.1 are held'),
  });
  expect([node.leased(), await leasesOf(admin)]).toEqual(before);
  expect(node.interfaces('p')).toEqual([]);
});

test('a definition cannot speak for another node, nor for another cluster than the node’s', async () => {
  node.addPod('p');
  const manifold = { kubeconfig: '/etc/of/a/tenant', nodeName: 'another' };
  node.define('default', 'sly', { ...node.macvlan({ range: '10.9.0.0/16' }), manifold });
  expect(await node.manifoldCall('ADD', 'p', { networks: 'sly', conf: cluster0() })).toMatchObject({
    code: 0,
  });
  expect((await leasesOf(admin)).map((line) => line.split(' ').at(-1))).toEqual(['n1', 'n1']);
});

test('the API server is away: DEL takes the interfaces, and the next ADD of the node ends the leases', async () => {
  for (const pod of ['p', 'q']) node.addPod(pod);
  const networks = node.defineRails(2);
  const conf = cluster0();
  await node.manifoldCall('ADD', 'p', { networks, conf });
  await proxy.setMode('refuse');
  expect(await node.manifoldCall('DEL', 'p', { networks, conf })).toMatchObject({ code: 0 });
  expect(node.interfaces('p')).toEqual([]);
  await proxy.setMode('open');
  expect(await node.manifoldCall('ADD', 'q', { networks, conf })).toMatchObject({ code: 0 });
  const held = (await leasesOf(admin)).filter((line) => line.includes('Held'));
  expect(held.map((line) => line.split(' ')[2])).toEqual(['c-q', 'c-q', 'c-q']);
});
