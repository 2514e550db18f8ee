import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import { checkState } from '../pkg/state/check-state.ts';
import type { NodeStore, Writer } from '../pkg/state/node-store.ts';
import { openNodeStore } from '../pkg/state/open-node-store.ts';
import { KubeInMemory } from '../test/kit/kube-in-memory.ts';
import { claimRequest } from '../test/kit/lease-world.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { finishReleases } from './finish-releases.ts';
import { type IpLease, isOver } from './ip-lease.ts';
import { kubeLeaseStore } from './kube-lease-store.ts';

const NETWORKS: Record<string, JsonObject> = {
  one: { range: '10.0.0.0/28', gateway: '10.0.0.1', exclude: ['10.0.0.4/31'] },
  two: { ipRanges: [{ range: '10.0.0.6-10.0.0.20/27' }, { range: 'fd00::/125' }], order: 'spread' },
  kept: { range: '10.0.0.16/29', sticky: '10m', reuseDelay: '5m' },
};

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('add', 'add', 'del'),
      node: fc.constantFrom(0, 1),
      network: fc.constantFrom('one', 'two', 'kept'),
      pod: fc.integer({ min: 0, max: 9 }),
      sandbox: fc.constantFrom('a', 'b'),
      /** The process dies at this boundary. */
      dies: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('away', 'back', 'wait', 'mend') }) },
);

test('whatever comes and goes, dies, and is away: no address has two owners, and all are free in the end', async () => {
  const root = mkdtempSync(join(tmpdir(), 'manifold-laws-'));
  const stores = [0, 1].map((i) => openNodeStore(join(root, `n${i}`)));
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => runSteps(stores, steps)),
      { numRuns: 60 },
    );
  } finally {
    for (const store of stores) store.close();
    rmSync(root, { recursive: true });
  }
}, 120_000);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function runSteps(stores: readonly NodeStore[], steps: readonly Step[]): Promise<void> {
  for (const store of stores) for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
  const cluster = new KubeInMemory();
  /** Who was told that it has which addresses: pod and network on a node, its sandbox. */
  const told = new Map<string, { sandbox: string; addresses: string[] }>();
  const dead = (store: NodeStore): Writer => ({ ...store.writer, pid: 2 ** 22 + 1 });
  const deps = (node: number, dies: number | null): ClusterDeps => {
    let left = dies ?? Number.POSITIVE_INFINITY;
    return {
      ...{ client: cluster.client(), store: stores[node] as NodeStore, nodeName: `n${node}` },
      kernel: { openIfThere: () => undefined },
      step: () => {
        if (--left <= 0) throw new Error('killed');
      },
    };
  };
  const endOfProcess = (node: number) => {
    const store = stores[node] as NodeStore;
    for (const row of store.clusterLeases.all()) store.clusterLeases.update({ ...row, writer: dead(store) });
  };
  for (const one of steps) {
    if (one.do === 'away' || one.do === 'back') cluster.isAway = one.do === 'away';
    else if (one.do === 'wait') cluster.time += 400_000;
    else if (one.do === 'mend') await mend(stores, deps, cluster, false);
    else if ('pod' in one) {
      const { node, network, pod, sandbox, dies } = one;
      const uid = `pod-${pod}-n${node}`;
      const container = `${uid}-${sandbox}`;
      const key = `${network} ${uid}`;
      const store = kubeLeaseStore(deps(node, dies));
      const ifname = `${network}0`;
      try {
        if (one.do === 'del') {
          await store.release({ containerId: container, ifname, network });
          if (told.get(key)?.sandbox === sandbox) told.delete(key);
        } else {
          const request = claimRequest(NETWORKS[network] ?? {}, { network, uid, container, ifname });
          const [grants = []] = await store.claim([request], 'held');
          const addresses = grants.map(({ address }) => formatAddress(address));
          const others = [...told].flatMap(([other, has]) => (other === key ? [] : has.addresses));
          for (const address of addresses) expect(others).not.toContain(address);
          const before = told.get(key);
          if (before !== undefined) expect(addresses).toEqual(before.addresses);
          told.set(key, { sandbox, addresses });
        }
      } catch (error) {
        const isDeath = error instanceof Error && error.message === 'killed';
        if (!isDeath) expect(isManifoldError(error, 'no-address', 'try-later') && error.message).toBeTruthy();
        // The runtime deletes the sandbox of a call that failed; of one that has been told of it, it keeps the older one.
        if (isDeath && one.do === 'del' && told.get(key)?.sandbox === sandbox) told.delete(key);
      }
      endOfProcess(node);
    }
    for (const store of stores) expect(checkState(store).broken).toEqual([]);
  }
  cluster.isAway = false;
  for (const [key, { sandbox }] of told) {
    const [network = '', uid = ''] = key.split(' ');
    const node = Number(uid.slice(-1));
    await kubeLeaseStore(deps(node, null)).release({
      ...{ containerId: `${uid}-${sandbox}`, ifname: `${network}0`, network },
    });
    endOfProcess(node);
  }
  await mend(stores, deps, cluster, true);
  expect(
    [...cluster.objects.values()].filter((lease) => (lease as unknown as IpLease).spec.phase === 'Held'),
  ).toEqual([]);
}

/** What the agent, and the DEL of sandboxes whose ADD failed, do. @param all also what no sandbox was told of */
async function mend(
  stores: readonly NodeStore[],
  deps: (node: number, dies: number | null) => ClusterDeps,
  cluster: KubeInMemory,
  all: boolean,
): Promise<void> {
  for (const [node, store] of stores.entries()) {
    if (all)
      for (const row of store.clusterLeases.inState('claiming', 'claimed', 'held'))
        await kubeLeaseStore(deps(node, null)).release(row);
    try {
      await finishReleases(deps(node, null), 1000, AbortSignal.timeout(5000));
    } catch (error) {
      if (!isManifoldError(error, 'try-later')) throw error;
    }
  }
  if (!all) return;
  for (const lease of cluster.objects.values())
    expect(isOver((lease as unknown as IpLease).spec, cluster.time + 3_600_000)).toBe(true);
}
