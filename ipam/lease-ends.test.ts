import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import { KubeError } from '../pkg/kube/kube-error.ts';
import { createLogger } from '../pkg/log/logger.ts';
import type { ClusterLeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import { KubeInMemory } from '../test/kit/kube-in-memory.ts';
import { type Asking, claimRequest } from '../test/kit/lease-world.ts';
import { eachWithMemoryNode } from '../test/kit/memory-node.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { endLease } from './end-lease.ts';
import { finishReleases } from './finish-releases.ts';
import { IP_LEASES, type IpLease } from './ip-lease.ts';
import { kubeLeaseStore } from './kube-lease-store.ts';
import { reaffirm } from './obtain-lease.ts';

let node: NodeStore;
let cluster: KubeInMemory;
eachWithMemoryNode((made) => {
  ({ node, cluster } = made);
});

const depsOf = (more: Partial<ClusterDeps> = {}): ClusterDeps => ({
  ...{ client: cluster.client(), store: node, nodeName: 'n1' },
  kernel: { openIfThere: () => undefined },
  ...more,
});
async function give(ipam: JsonObject, asking: Asking, deps = depsOf()): Promise<string[]> {
  const [grants = []] = await kubeLeaseStore(deps).claim([claimRequest(ipam, asking)], 'held');
  return grants.map(({ address }) => formatAddress(address));
}
const free = (containerId: string) =>
  kubeLeaseStore(depsOf()).release({ containerId, ifname: 'net1', network: 'rail0' });
const leaseAt = (address: string) => cluster.client().get<IpLease>(IP_LEASES, address);
const leases = () =>
  [...cluster.objects.values()].map((object) => {
    const { spec } = object as unknown as IpLease;
    return `${spec.address} ${spec.phase} ${spec.owner.containerID}`;
  });
const rows = () => node.clusterLeases.all().map((row) => `${row.address} ${row.state} ${row.containerId}`);
const onlyRow = () => node.clusterLeases.all()[0] as ClusterLeaseRecord;
const soon = () => AbortSignal.timeout(10_000);
const wide = { range: '10.16.0.0/12' };

describe('an end by what somebody has read', () => {
  test.each([
    ['deleted', { reuseDelay: '0s' }],
    ['resting', {}],
  ])('ends nothing that has changed hands or been made anew since (%s)', async (_, terms) => {
    const asked = { range: '10.0.0.7/32', ...terms };
    await give(asked, { container: 'a' });
    const seen = await leaseAt('10.0.0.7');
    const { spec } = seen;
    const owner = { ...spec.owner, uid: 'other', containerID: 'b' };
    await cluster.client().replace<IpLease>(IP_LEASES, { ...seen, spec: { ...spec, owner } });
    expect(await endLease(cluster.client(), seen, { now: cluster.time })).toBe('changed');
    expect(leases()).toEqual(['10.0.0.7 Held b']);
    // The resourceVersion of the old one, by chance; the UID is another.
    const now = await leaseAt('10.0.0.7');
    const stale = { ...now, metadata: { ...now.metadata, uid: 'of before' } };
    expect(await endLease(cluster.client(), stale, { now: cluster.time })).not.toBe('ended');
    expect(leases()).toEqual(['10.0.0.7 Held b']);
  });
});

describe('a lease that is being deleted and waits for a finalizer', () => {
  async function beingDeleted(address: string): Promise<void> {
    const lease = await leaseAt(address);
    const metadata = { ...lease.metadata, finalizers: ['example.com/hold'] };
    await cluster.client().replace<IpLease>(IP_LEASES, { ...lease, metadata });
    await cluster.client().delete(IP_LEASES, address);
  }
  const two = { range: '10.0.0.0/31' };

  test('is given to nobody, not to its owner either: the address is free once it is gone', async () => {
    await give(two, { uid: 'a', container: 'a' });
    await beingDeleted('10.0.0.0');
    expect(await give(two, { uid: 'a', container: 'a2' })).toEqual(['10.0.0.1']);
    await expect(give(two, { uid: 'b' })).rejects.toMatchObject({ code: 'no-address' });
    await expect(give(two, { uid: 'b', ip: '10.0.0.0' })).rejects.toMatchObject({ code: 'address-held' });
    cluster.objects.delete('ipleases/10.0.0.0');
    expect(await give(two, { uid: 'b' })).toEqual(['10.0.0.0']);
  });

  test('is not taken over when it rests and is over', async () => {
    await give(two, { uid: 'a', container: 'a' });
    await give(two, { uid: 'x', container: 'x' });
    await free('a');
    await beingDeleted('10.0.0.0');
    cluster.time += 3_600_000;
    await expect(give(two, { uid: 'b', container: 'b' })).rejects.toMatchObject({ code: 'no-address' });
    await expect(give(two, { uid: 'a', container: 'a2' })).rejects.toMatchObject({ code: 'no-address' });
    expect((await leaseAt('10.0.0.0')).spec.phase).toBe('Resting');
  });

  test('is not brought up to date as if it would stay', async () => {
    await give(two, { uid: 'a', container: 'a' });
    await beingDeleted('10.0.0.0');
    expect(await reaffirm(depsOf(), onlyRow(), soon())).toBe('lost');
  });
});

describe('a row that is brought up to date as its DEL comes', () => {
  test.each([['0s'], ['5m']])(
    'before it is asked: nothing is held again (reuseDelay %s)',
    async (reuseDelay) => {
      await give({ ...wide, reuseDelay }, { uid: 'a', container: 'a' });
      const row = onlyRow();
      await free('a');
      const after = leases();
      expect(await reaffirm(depsOf(), row, soon())).toBe('over');
      expect(leases()).toEqual(after);
    },
  );

  test.each([['0s'], ['5m']])(
    'while it is asked: what was written is ended (reuseDelay %s)',
    async (reuseDelay) => {
      await give({ ...wide, reuseDelay }, { uid: 'a', container: 'a' });
      const row = onlyRow();
      // Gone by another's hand, so that it is made again; the DEL finds it gone too.
      cluster.objects.clear();
      const client = cluster.client();
      const create: KubeClient['create'] = async (...call) => {
        await free('a');
        return client.create(...call);
      };
      expect(await reaffirm(depsOf({ client: { ...client, create } }), row, soon())).toBe('over');
      expect(leases().filter((line) => line.includes('Held'))).toEqual([]);
    },
  );
});

test('releases that the API server refuses for ever do not keep those behind them from their end', async () => {
  const one = { range: '10.0.0.0/24', reuseDelay: '0s' };
  for (let i = 1; i <= 12; i++) await give(one, { uid: `u${i}`, container: `c${i}` });
  for (const row of node.clusterLeases.all())
    node.clusterLeases.update({
      ...row,
      ...{ state: 'releasing', released: cluster.time, writer: { ...node.writer, pid: 2 ** 22 + 1 } },
    });
  const client = cluster.client();
  const mayEnd = new Set(['10.0.0.8', '10.0.0.9']);
  const remove: KubeClient['delete'] = async (resource, name, options) => {
    if (!mayEnd.has(name)) throw new KubeError('Forbidden', `Cannot delete ${name}: Forbidden`);
    return client.delete(resource, name, options);
  };
  const deps = depsOf({ client: { ...client, delete: remove } });
  for (let pass = 0; pass < 24; pass++) {
    cluster.time++;
    await give(wide, { uid: `new${pass}`, container: `new${pass}` }, deps);
  }
  expect(leases().filter((line) => /10\.0\.0\.[89] /.test(line))).toEqual([]);
  expect(rows().filter((line) => line.includes('releasing'))).toHaveLength(10);
  await expect(finishReleases(deps, 4, soon())).rejects.toMatchObject({ code: 'api' });
});

describe('a node whose definitions name two clusters', () => {
  const namedBy = (kube: KubeInMemory, name: string, more: Partial<KubeClient> = {}) =>
    depsOf({ client: { ...kube.client(), ...more, cluster: async () => `https://${name} ca-${name}` } });
  const dead = () => {
    for (const row of node.clusterLeases.all())
      node.clusterLeases.update({ ...row, writer: { ...node.writer, pid: 2 ** 22 + 1 } });
  };

  test('a release that one could not be told of is not finished by an answer of the other, but by its own', async () => {
    const other = new KubeInMemory();
    const said: string[] = [];
    const log = createLogger({ level: 'warn', sink: (line) => said.push(line) });
    const here = namedBy(cluster, 'a');
    const there = { ...namedBy(other, 'b'), log };
    const one = { range: '10.0.0.7/32', reuseDelay: '0s' };
    await give(one, { container: 'a' }, here);
    cluster.isAway = true;
    await kubeLeaseStore(here).release({ containerId: 'a', ifname: 'net1', network: 'rail0' });
    dead();
    await give(wide, { container: 'b', network: 'other' }, there);
    expect(rows()).toContain('10.0.0.7 releasing a');
    expect(said.join()).toContain('the kubeconfig of that cluster');
    // The address is not given to others here as long as nobody knows.
    await expect(give(one, { container: 'c' }, there)).rejects.toMatchObject({ code: 'no-address' });
    cluster.isAway = false;
    expect(await finishReleases(here, 9, soon())).toBe(1);
    expect(leases()).toEqual([]);
  });

  test('a DEL, and an agent, that name the other one leave the lease to its own', async () => {
    const other = new KubeInMemory();
    const one = { range: '10.0.0.7/32', reuseDelay: '0s' };
    await give(one, { container: 'a' }, namedBy(cluster, 'a'));
    expect(await reaffirm(namedBy(other, 'b'), onlyRow(), soon())).toBe('over');
    expect(other.objects.size).toBe(0);
    await kubeLeaseStore(namedBy(other, 'b')).release({ containerId: 'a', ifname: 'net1', network: 'rail0' });
    expect(rows()).toEqual(['10.0.0.7 releasing a']);
    dead();
    await finishReleases(namedBy(cluster, 'a'), 9, soon());
    expect(leases()).toEqual([]);
    expect(rows()).toEqual([]);
  });

  test('an owner whose definition names the other one by now is asked for there, by name', async () => {
    const other = new KubeInMemory();
    await give({ range: '10.0.0.7/32' }, { container: 'a' }, namedBy(cluster, 'a'));
    expect(await give({ range: '10.0.0.7/32' }, { container: 'a' }, namedBy(other, 'b'))).toEqual([
      '10.0.0.7',
    ]);
    expect(other.calls.filter((call) => call.startsWith('create'))).toEqual(['create 10.0.0.7']);
    expect(onlyRow().cluster).toBe('https://b ca-b');
  });
});

test('all addresses of a pod are asked for before the first is answered', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = cluster.client();
  let asked = 0;
  const create: KubeClient['create'] = async (...call) => {
    asked++;
    if (asked === 8) resolve();
    await promise;
    return client.create(...call);
  };
  const requests = Array.from({ length: 8 }, (_, i) =>
    claimRequest({ range: `10.${40 + i}.0.0/16` }, { ifname: `net${i}`, network: `rail${i}` }),
  );
  const store = kubeLeaseStore(depsOf({ client: { ...client, create } }));
  expect((await store.claim(requests, 'claimed')).flat()).toHaveLength(8);
});

test('what is kept for a pod of a StatefulSet is kept from one of the same name in another namespace', async () => {
  const kept = { range: '10.0.0.0/31', sticky: '1h', reuseDelay: '0s' };
  const name = (uid: string, container: string, namespace: string) => {
    const request = claimRequest(kept, { uid, container, namespace });
    return { ...request, pod: { ...request.pod, name: 'db-0' } };
  };
  const claim = async (...who: Parameters<typeof name>) => {
    const [grants = []] = await kubeLeaseStore(depsOf()).claim([name(...who)], 'held');
    return grants.map(({ address }) => formatAddress(address));
  };
  expect(await claim('u1', 'c1', 'team-a')).toEqual(['10.0.0.0']);
  await free('c1');
  expect(await claim('u2', 'c2', 'team-b')).toEqual(['10.0.0.1']);
  await expect(claim('u3', 'c3', 'team-c')).rejects.toMatchObject({ code: 'no-address' });
  expect(await claim('u4', 'c4', 'team-a')).toEqual(['10.0.0.0']);
});
