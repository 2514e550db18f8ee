// Pods are deleted and made again by the hundred while agents reclaim: no address of a pod that lives is ever freed.
import { beforeAll, expect, test } from 'vitest';
import type { IpLease } from '../../ipam/ip-lease.ts';
import { AgentNode, eventually, HURRIED, readLeases } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LeaseWatch } from '../kit/lease-watch.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
});

interface Running {
  readonly node: AgentNode;
  readonly uid: string;
  readonly sandbox: { readonly container: string };
}

const held = async (range: string): Promise<IpLease[]> =>
  [...(await readLeases(cluster)).values()].filter(
    ({ spec }) => spec.subnet === range && spec.phase === 'Held',
  );

test.each([
  [100, 'as any other', {}],
  [30, 'whose addresses wait for them', { sticky: '10m' }],
])('%i pods of a StatefulSet, %s, roll over while the agents reclaim', async (count, _, terms) => {
  const namespace = await createNamespace(cluster);
  await using one = await AgentNode.join(cluster);
  await using two = await AgentNode.join(cluster);
  for (const node of [one, two]) node.startAgent();
  const range = 'sticky' in terms ? '10.81.0.0/23' : '10.80.0.0/23';
  await using watch = await LeaseWatch.start(one.client);
  const start = async (ordinal: number, node: AgentNode, round: number): Promise<Running> => {
    const name = `web-${ordinal}`;
    const uid = await createPod(cluster, { namespace, name, node: node.name });
    watch.living.add(uid);
    const sandbox = { container: `c-${ordinal}-${round}`, namespace, name, uid };
    await node.add({ range, ...terms }, sandbox);
    return { node, uid, sandbox };
  };
  const stop = async (ordinal: number, { node, uid, sandbox }: Running): Promise<void> => {
    watch.living.delete(uid);
    // Every third DEL comes in time, every third after the next pod of the name has begun, every third never.
    if (ordinal % 3 === 0) await node.del(sandbox);
    await deletePod(cluster, namespace, `web-${ordinal}`);
    node.endSandbox(sandbox.container);
  };
  const before = new Map<string, string>();
  const running = new Map<number, Running>();
  for (let ordinal = 0; ordinal < count; ordinal++)
    running.set(ordinal, await start(ordinal, ordinal % 2 === 0 ? one : two, 0));
  for (const { spec } of await held(range)) before.set(spec.owner.podName ?? '', spec.address);
  for (const [ordinal, old] of [...running]) {
    await stop(ordinal, old);
    // A pod may come back on another node.
    const node = ordinal % 5 === 0 ? (old.node === one ? two : one) : old.node;
    running.set(ordinal, await start(ordinal, node, 1));
    if (ordinal % 3 === 1) await old.node.del(old.sandbox);
  }
  // What the last of them left is ended too, and nothing else.
  const leases = await eventually(
    () => held(range),
    (all) => all.length === count,
  );
  await new Promise((resolve) => setTimeout(resolve, HURRIED.suspect + 3 * HURRIED.pass));
  expect(watch.faults).toEqual([]);
  expect(watch.events).toBeGreaterThan(2 * count);
  expect(new Set((await held(range)).map(({ spec }) => spec.owner.uid))).toEqual(
    new Set([...running.values()].map(({ uid }) => uid)),
  );
  if ('sticky' in terms) {
    const kept = leases.filter(({ spec }) => before.get(spec.owner.podName ?? '') === spec.address);
    // Where no DEL had come in time the old one was still held when the next pod asked.
    expect(kept.length).toBeGreaterThanOrEqual(count / 3);
  }
});
