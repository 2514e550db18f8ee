import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import { silentLogger } from '../pkg/log/logger.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import type { KubeInMemory } from '../test/kit/kube-in-memory.ts';
import { leaseObject, RESTING } from '../test/kit/lease-object.ts';
import { type Asking, claimRequest } from '../test/kit/lease-world.ts';
import { eachWithMemoryNode } from '../test/kit/memory-node.ts';
import { IP_LEASES, type IpLease, type IpLeaseSpec } from './ip-lease.ts';
import { openLeaseStore } from './open-lease-store.ts';

let node: NodeStore;
let cluster: KubeInMemory;
let root: string;
eachWithMemoryNode((made) => {
  ({ root, node, cluster } = made);
});

type Where = 'node' | 'cluster';
const storeOf = (where: Where) =>
  openLeaseStore(
    {
      ...{ kernel: { openIfThere: () => undefined }, openStore: () => node, now: () => cluster.time },
      kube: () => cluster.client(),
    },
    {
      ...{ stateDir: root, runDir: root, nodeName: 'n1', whereabouts: 'closed' },
      kubeconfig: where === 'cluster' ? '/kubeconfig' : undefined,
    },
    silentLogger,
  );
async function give(where: Where, ipam: JsonObject, asking: Asking): Promise<string[]> {
  const [grants = []] = await storeOf(where).claim([claimRequest(ipam, asking)], 'held');
  return grants.map(({ address }) => formatAddress(address));
}
const pod = (name: string, container = `c-${name}`) => ({ uid: name, container });
const holder = (containerId: string) => ({ containerId, ifname: 'net1', network: 'rail0' });
/** Of another node's. */
const lease = (spec: Partial<IpLeaseSpec>) =>
  cluster.client().create<IpLease>(IP_LEASES, leaseObject(spec), { isOurs: () => false });
const objects = () =>
  [...cluster.objects.values()].map((object) => {
    const { spec } = object as unknown as IpLease;
    return `${spec.address} ${spec.phase} ${spec.owner.containerID}`;
  });
const rows = () => node.clusterLeases.all().map((row) => `${row.address} ${row.state} ${row.containerId}`);
const ofNode = () => node.leases.all().map((row) => `${row.address} ${row.state} ${row.containerId}`);

const few = { range: '10.0.0.0/29' }; // 1 to 6
const one = { range: '10.0.0.7/32' };

describe('a node begins to name a cluster while pods run', () => {
  test('what they have is given to no other pod, drawn or asked for, and is counted when the range is full', async () => {
    expect(await give('node', few, pod('a'))).toEqual(['10.0.0.1']);
    expect(await give('node', few, pod('b'))).toEqual(['10.0.0.2']);
    expect(await give('cluster', few, pod('c'))).toEqual(['10.0.0.3']);
    await expect(give('cluster', few, { ...pod('d'), ip: '10.0.0.2' })).rejects.toMatchObject({
      code: 'address-held',
      message: expect.stringContaining('ns/b holds it'),
    });
    for (const name of ['d', 'e', 'f']) await give('cluster', few, pod(name));
    await expect(give('cluster', few, pod('g'))).rejects.toMatchObject({
      code: 'no-address',
      message: expect.stringContaining('all 6'),
    });
    expect(await give('cluster', { range: '10.0.0.2-10.0.0.9/16', order: 'spread' }, pod('h'))).not.toEqual([
      '10.0.0.2',
    ]);
  });

  test('an address of a wide range is not drawn either', async () => {
    const wide = { range: '10.16.0.0/12' };
    const [drawn] = await give('cluster', wide, pod('a'));
    await storeOf('cluster').release(holder('c-a'));
    cluster.objects.clear();
    for (const row of node.clusterLeases.all()) node.clusterLeases.remove(row);
    await give('node', wide, { ...pod('b'), ip: drawn as string });
    expect(await give('cluster', wide, pod('a'))).not.toEqual([drawn]);
  });

  test('a lease of the cluster that rests is not taken over where a pod of this node has the address', async () => {
    await give('node', one, pod('a'));
    await lease({ address: '10.0.0.7', subnet: '10.0.0.7/32', ...RESTING });
    await expect(give('cluster', one, pod('b'))).rejects.toMatchObject({ code: 'no-address' });
  });

  test('an owner gets what it has, in the cluster from now on, and its older sandbox ends nothing', async () => {
    await give('node', few, pod('x'));
    expect(await give('node', few, pod('a'))).toEqual(['10.0.0.2']);
    expect(await give('cluster', few, pod('a', 'new'))).toEqual(['10.0.0.2']);
    expect(objects()).toEqual(['10.0.0.2 Held new']);
    expect(ofNode()).toEqual(['10.0.0.1 held c-x']);
    await storeOf('cluster').release(holder('c-a'));
    expect(objects()).toEqual(['10.0.0.2 Held new']);
    expect(rows()).toEqual(['10.0.0.2 held new']);
  });

  test('an owner whose address somebody else has in the cluster gets another, and the old one rests', async () => {
    await give('node', few, pod('a'));
    await lease({ address: '10.0.0.1', subnet: '10.0.0.0/29', node: 'n2' });
    expect(await give('cluster', few, pod('a', 'new'))).toEqual(['10.0.0.2']);
    expect(ofNode()).toEqual(['10.0.0.1 resting c-a']);
  });

  test('a claim that fails leaves the owner what it had', async () => {
    await give('node', few, pod('a'));
    cluster.isAway = true;
    await expect(give('cluster', few, pod('a', 'new'))).rejects.toMatchObject({ code: 'try-later' });
    expect(ofNode()).toEqual(['10.0.0.1 held c-a']);
  });

  test('CHECK and DEL find what a sandbox had before', async () => {
    await give('node', few, pod('a'));
    const store = storeOf('cluster');
    expect(await store.get('', parseAddress('10.0.0.1'))).toMatchObject({
      containerId: 'c-a',
      state: 'held',
    });
    expect(await store.ofAttachment(holder('c-a'))).toHaveLength(1);
    await store.release(holder('c-a'));
    expect(ofNode()).toEqual(['10.0.0.1 resting c-a']);
    expect(await give('cluster', few, pod('b'))).toEqual(['10.0.0.1']);
  });
});

describe('a node ceases to name a cluster while pods run', () => {
  test('what they have is given to no other pod, drawn or asked for, and is counted when the range is full', async () => {
    expect(await give('cluster', few, pod('a'))).toEqual(['10.0.0.1']);
    expect(await give('cluster', few, pod('b'))).toEqual(['10.0.0.2']);
    expect(await give('node', few, pod('c'))).toEqual(['10.0.0.3']);
    await expect(give('node', few, { ...pod('d'), ip: '10.0.0.2' })).rejects.toMatchObject({
      code: 'address-held',
      message: expect.stringContaining('ns/b holds it'),
    });
    for (const name of ['d', 'e', 'f']) await give('node', few, pod(name));
    await expect(give('node', few, pod('g'))).rejects.toMatchObject({
      code: 'no-address',
      message: expect.stringContaining('all 6'),
    });
    const serving = storeOf('node').ensureServing('rail0', claimRequest(few).sets);
    await expect(serving).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('what rests in the store of the node is not given where the cluster has given it to a pod since', async () => {
    await give('node', one, pod('a'));
    await storeOf('node').release(holder('c-a'));
    expect(await give('cluster', one, pod('b'))).toEqual(['10.0.0.7']);
    await expect(give('node', one, pod('c'))).rejects.toMatchObject({ code: 'no-address' });
  });

  test('an owner gets what it has, whether or not its DEL came before; the cluster hears of the end later', async () => {
    await give('cluster', few, pod('x'));
    expect(await give('cluster', few, pod('a'))).toEqual(['10.0.0.2']);
    expect(await give('node', few, pod('a', 'second'))).toEqual(['10.0.0.2']);
    const store = storeOf('node');
    await store.release(holder('c-a'));
    expect(rows()).toContain('10.0.0.2 held second');
    expect(await store.ofAttachment(holder('second'))).toHaveLength(1);
    await store.release(holder('second'));
    expect(rows()).toContain('10.0.0.2 releasing second');
    expect(await give('node', few, { ...pod('a', 'third'), ip: '10.0.0.2' })).toEqual(['10.0.0.2']);
    await store.release(holder('third'));
    for (const row of node.clusterLeases.all())
      node.clusterLeases.update({ ...row, writer: { ...row.writer, pid: 2 ** 22 + 1 } });
    await give('cluster', few, pod('y'));
    expect(objects()).toContainEqual(expect.stringMatching(/^10\.0\.0\.2 Resting/));
  });

  test('CHECK finds what a sandbox had before', async () => {
    await give('cluster', few, pod('a'));
    const store = storeOf('node');
    expect(await store.get('', parseAddress('10.0.0.1'))).toMatchObject({
      containerId: 'c-a',
      state: 'held',
    });
    expect(await store.ofAttachment(holder('c-a'))).toHaveLength(1);
  });
});
