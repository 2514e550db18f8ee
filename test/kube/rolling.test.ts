// The 100 pods of a StatefulSet are deleted and made again, in random order and in every way in which that happens, while
// the agents of three nodes reclaim: no address that a living pod may use is ever freed or given to another.
import { beforeAll, expect, test } from 'vitest';
import { AgentNode, eventually, readLeases } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LeaseWatch, type Life } from '../kit/lease-watch.ts';

const PODS = 100;
const AT_ONCE = 6;

/** Of the pods with an even ordinal, and of the others, whose addresses are kept for them. */
const DEFINITIONS = [
  { range: '10.66.0.0/24' },
  { range: '10.66.0.0-10.66.1.255/23', sticky: '10m' },
] as const;

let cluster: Cluster;
let namespace: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  namespace = await createNamespace(cluster);
});

interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly node: AgentNode;
  readonly container: string;
  readonly life: Life;
}

const WAYS = ['in order', 'DEL late', 'no DEL', 'new sandbox'] as const;

class StatefulSet {
  readonly pods = new Map<number, Pod>();
  readonly #nodes: readonly AgentNode[];
  readonly #watch: LeaseWatch;
  #sandboxes = 0;

  constructor(nodes: readonly AgentNode[], watch: LeaseWatch) {
    this.#nodes = nodes;
    this.#watch = watch;
  }

  async start(ordinal: number): Promise<Pod> {
    const node = anyOf(this.#nodes);
    const name = `web-${ordinal}`;
    const uid = await createPod(cluster, { namespace, name, node: node.name });
    return this.#add(ordinal, { name, uid, node });
  }

  async roll(ordinal: number, way: (typeof WAYS)[number]): Promise<void> {
    const pod = this.pods.get(ordinal) as Pod;
    const { node, name, container, life } = pod;
    const sandbox = { ...sandboxOf(pod), container };
    if (way === 'new sandbox') {
      node.endSandbox(container);
      const { life: again } = await this.#add(ordinal, pod);
      expect(again.address).toBe(life.address);
      await node.del(sandbox);
      return;
    }
    if (way === 'in order') {
      await this.#watch.end(life);
      await node.del(sandbox);
      node.endSandbox(container);
      await deletePod(cluster, namespace, name);
      const next = await this.start(ordinal);
      if (ordinal % 2 === 1) expect(next.life.address).toBe(life.address);
      return;
    }
    await deletePod(cluster, namespace, name);
    if (way === 'no DEL') {
      await this.#watch.end(life);
      node.endSandbox(container);
      await this.start(ordinal);
      return;
    }
    // The old pod's sandbox still answers, while the new one begins.
    await this.start(ordinal);
    await this.#watch.end(life);
    await node.del(sandbox);
    node.endSandbox(container);
  }

  async #add(ordinal: number, { name, uid, node }: Pick<Pod, 'name' | 'uid' | 'node'>): Promise<Pod> {
    const container = `c-${this.#sandboxes++}`;
    const sandbox = { ...sandboxOf({ name, uid }), container };
    const [address = ''] = await node.add(DEFINITIONS[ordinal % 2] ?? DEFINITIONS[0], sandbox);
    const row = node.rows().find((one) => one.address === address);
    const before = this.pods.get(ordinal);
    const from = BigInt(row?.object?.resourceVersion ?? 0);
    const life = before?.uid === uid ? before.life : this.#watch.begin({ address, uid, from });
    const pod = { name, uid, node, container, life };
    this.pods.set(ordinal, pod);
    return pod;
  }
}

const sandboxOf = ({ name, uid }: Pick<Pod, 'name' | 'uid'>) => ({ namespace, name, uid });
const anyOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

/** Some at a time, each once. */
async function forEachPod(
  ordinals: readonly number[],
  work: (ordinal: number) => Promise<unknown>,
): Promise<void> {
  const left = [...ordinals];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test('100 pods are deleted and made again while agents reclaim: no address of a living one is freed or given to another', async () => {
  await using first = await AgentNode.join(cluster);
  await using second = await AgentNode.join(cluster);
  await using third = await AgentNode.join(cluster);
  const nodes = [first, second, third];
  for (const node of nodes) node.startAgent();
  const watch = new LeaseWatch(first.client);
  await watch.start();
  const set = new StatefulSet(nodes, watch);
  const ordinals = Array.from({ length: PODS }, (_, ordinal) => ordinal);
  await forEachPod(ordinals, (ordinal) => set.start(ordinal));
  const shuffled = ordinals.toSorted(() => Math.random() - 0.5);
  await forEachPod(shuffled, (ordinal) => set.roll(ordinal, anyOf(WAYS)));

  const expected = [...set.pods.values()].map(({ life, uid }) => `${life.address} ${uid}`).sort();
  const held = async () =>
    [...(await readLeases(cluster)).values()]
      .filter(({ spec }) => spec.phase === 'Held')
      .map(({ spec }) => `${spec.address} ${spec.owner.uid}`)
      .sort();
  await eventually(held, (words) => words.length === expected.length, 60_000);
  expect(await held()).toEqual(expected);
  await watch.stop();
  expect([...watch.faults]).toEqual([]);
  expect(watch.events.leases).toBeGreaterThan(2 * PODS);
  expect(watch.events.pods).toBeGreaterThan(PODS);

  // All at once, without a word to anybody.
  await forEachPod(ordinals, async (ordinal) => {
    const { name, node, container } = set.pods.get(ordinal) as Pod;
    await deletePod(cluster, namespace, name);
    node.endSandbox(container);
  });
  await eventually(held, (words) => words.length === 0, 60_000);
  await eventually(
    () => nodes.flatMap((node) => node.rows().filter(({ state }) => state !== 'resting')),
    (rows) => rows.length === 0,
  );
}, 300_000);
