import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { openNodeStore } from '../pkg/state/open-node-store.ts';
import type { KubeInMemory } from '../test/kit/kube-in-memory.ts';
import { leaseObject } from '../test/kit/lease-object.ts';
import { type Asking, claimRequest } from '../test/kit/lease-world.ts';
import { eachWithMemoryNode } from '../test/kit/memory-node.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import type { IpLease } from './ip-lease.ts';
import { kubeLeaseStore } from './kube-lease-store.ts';

let node: NodeStore;
let cluster: KubeInMemory;
let root: string;
eachWithMemoryNode((made) => {
  ({ root, node, cluster } = made);
});

const storeOf = (more: Partial<ClusterDeps> = {}) =>
  kubeLeaseStore({
    ...{ client: cluster.client(), store: node, nodeName: 'n1' },
    kernel: { openIfThere: () => undefined },
    ...more,
  });
async function give(store: ReturnType<typeof storeOf>, ipam: JsonObject, asking: Asking): Promise<string[]> {
  const [grants = []] = await store.claim([claimRequest(ipam, asking)], 'held');
  return grants.map(({ address }) => formatAddress(address));
}
const leases = () =>
  [...cluster.objects.values()].map((object) => {
    const { spec } = object as unknown as IpLease;
    return `${spec.address} ${spec.phase} ${spec.owner.containerID}`;
  });
const rows = () => node.clusterLeases.all().map((row) => `${row.address} ${row.state} ${row.containerId}`);
const wide = { range: '10.16.0.0/12' };
const of = (containerId: string) => ({ containerId, ifname: 'net1', network: 'rail0' });

describe('an owner that comes back while its release is under way', () => {
  /** A client whose first PUT waits before or after it is carried out. */
  function slow(when: 'before' | 'after', gate: Promise<void>): KubeClient {
    const client = cluster.client();
    const replace: KubeClient['replace'] = async (...call) => {
      if (when === 'before') await gate;
      const answer = await client.replace(...call);
      if (when === 'after') await gate;
      return answer;
    };
    return { ...client, replace };
  }

  test.each(['before', 'after'] as const)(
    'is not robbed of its lease: it comes %s the release is carried out',
    async (when) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const [address] = await give(storeOf(), wide, { uid: 'u1', container: 'a' });
      const released = storeOf({ client: slow(when, promise) }).release(of('a'));
      expect(rows()).toEqual([`${address} releasing a`]);
      expect(await give(storeOf(), wide, { uid: 'u1', container: 'b' })).toEqual([address]);
      resolve();
      await released;
      expect(leases()).toEqual([`${address} Held b`]);
      expect(rows()).toEqual([`${address} held b`]);
    },
  );
});

test('DEL of a container whose ADD is under way: the lease that comes of it is ended by the ADD, which fails', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = cluster.client();
  const create: KubeClient['create'] = async (...call) => {
    await promise;
    return client.create(...call);
  };
  const adding = give(storeOf({ client: { ...client, create } }), wide, { uid: 'u1', container: 'a' });
  await expect.poll(rows).toEqual([expect.stringMatching(/ claiming a$/)]);
  // As another process of the node.
  const other = openNodeStore(root, { writer: { ...node.writer, pid: node.writer.pid + 1 } });
  await storeOf({ store: other }).release(of('a'));
  other.close();
  expect(rows()).toEqual([]);
  resolve();
  await expect(adding).rejects.toMatchObject({ code: 'try-later' });
  expect(leases()).toEqual([expect.stringMatching(/ Resting a$/)]);
  expect(rows()).toEqual([expect.stringMatching(/ resting a$/)]);
});

test('another sandbox of the pod claims while the first does: both are told one address, and it is the later one’s', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = cluster.client();
  const create: KubeClient['create'] = async (...call) => {
    await promise;
    return client.create(...call);
  };
  const first = give(storeOf({ client: { ...client, create } }), wide, { uid: 'u1', container: 'a' });
  const second = await give(storeOf(), wide, { uid: 'u1', container: 'b' });
  resolve();
  expect(await first).toEqual(second);
  expect(leases()).toEqual([`${second[0]} Held b`]);
  expect(rows()).toEqual([`${second[0]} held b`]);
  await storeOf().release(of('a'));
  expect(leases()).toEqual([`${second[0]} Held b`]);
});

test('another allocator’s reservation is made before the lease, and taken back after it', async () => {
  const said: string[] = [];
  let taken: string | undefined;
  const store = storeOf({
    reservations: {
      async reserve({ address }) {
        said.push(`reserve ${address}`);
        taken ??= address;
        if (address !== taken) return { reserved: true };
        return { reserved: false, by: leaseObject({ address, subnet: '10.0.0.0/30' }) };
      },
      async free({ address }) {
        said.push(`free ${address}, ${leases().join()}`);
      },
      taken: async () => [],
      endTheirs: async () => 0,
    },
  });
  const [address] = await give(store, { range: '10.0.0.0/30' }, { container: 'a' });
  expect(address).not.toBe(taken);
  expect(said).toEqual([`reserve ${taken}`, `reserve ${address}`]);
  await store.release(of('a'));
  expect(said.at(-1)).toBe(`free ${address}, ${address} Resting a`);
  const theirs = { addresses: [{ address: `${taken}/30` }] };
  await expect(give(store, theirs, { container: 'b' })).rejects.toMatchObject({ code: 'address-held' });
});

test('addresses that were given from another subnet are found in a list of the domain, with who has them', async () => {
  for (let i = 0; i < 12; i++)
    await give(
      storeOf(),
      { range: '10.0.0.0/16', order: 'lowest' },
      { container: `x${i}`, network: 'other' },
    );
  const narrow = { range: '10.0.0.0/28' };
  const given = await Promise.all(['a', 'b'].map((container) => give(storeOf(), narrow, { container })));
  expect(given.flat().toSorted()).toEqual(['10.0.0.13', '10.0.0.14']);
  cluster.calls.length = 0;
  await expect(give(storeOf(), narrow, { container: 'c' })).rejects.toMatchObject({
    message: expect.stringContaining('all 14 of 10.0.0.1-10.0.0.14 are held (ns on other 12, ns 2'),
  });
  expect(cluster.calls).toContain('list spec.domain=');
});

test('what was given from another subnet is not asked for one after the other: the names of the domain are listed', async () => {
  const wider = { range: '10.0.0.0/16', order: 'lowest' };
  for (let i = 0; i < 60; i++) await give(storeOf(), wider, { container: `x${i}`, network: 'other' });
  // A node that has no records of them.
  const elsewhere = openNodeStore(join(root, 'n2'));
  const store = storeOf({ store: elsewhere, nodeName: 'n2' });
  cluster.calls.length = 0;
  const [address] = await give(store, { range: '10.0.0.0/26' }, { container: 'a' });
  elsewhere.close();
  expect(['10.0.0.61', '10.0.0.62']).toContain(address);
  const lists = cluster.calls.filter((call) => call.startsWith('list'));
  expect(lists).toEqual([
    'list spec.domain=,spec.subnet=10.0.0.0/26',
    'list spec.domain=,spec.subnet=10.0.0.0/26',
    'list spec.domain=',
  ]);
});

test('where a pod asks for more than is left, no more are said to be held than are', async () => {
  const requests = (first: number) =>
    Array.from({ length: 8 }, (_, i) =>
      claimRequest({ range: '10.0.0.0/28' }, { ifname: `net${first + i}`, network: `rail${first + i}` }),
    );
  await storeOf().claim(requests(0), 'held');
  await expect(storeOf().claim(requests(8), 'held')).rejects.toMatchObject({
    message: expect.stringContaining('of 14 of 10.0.0.1-10.0.0.14 8 are held'),
  });
  expect(leases().filter((line) => line.includes('Held'))).toHaveLength(8);
});

test('a hundred that claim at once from a range of a hundred all get one', async () => {
  const claims = Array.from({ length: 100 }, (_, i) =>
    give(storeOf(), { range: '10.0.0.0-10.0.0.99/25' }, { container: `c${i}` }),
  );
  // The network's own address is none to give.
  const settled = await Promise.allSettled(claims);
  const given = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  expect(new Set(given).size).toBe(99);
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1);
});

test('a job begins as another ends: sixty nodes that claim at once where all addresses rest all get one, by few calls each', async () => {
  const nodes = Array.from({ length: 60 }, (_, i) => openNodeStore(join(root, `n${i}`)));
  const stores = nodes.map((store, i) => storeOf({ store, nodeName: `n${i}` }));
  const range = { range: '10.0.0.1-10.0.0.60/25' };
  const giveAll = (job: string) =>
    Promise.all(stores.map((store, i) => give(store, range, { container: `${job}-${i}` })));
  await giveAll('before');
  await Promise.all(stores.map((store, i) => store.release(of(`before-${i}`))));
  const before = cluster.calls.length;
  expect(new Set((await giveAll('after')).flat()).size).toBe(60);
  expect(cluster.calls.length - before).toBeLessThan(60 * 25);
  for (const store of nodes) store.close();
});
