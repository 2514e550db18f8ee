// Processes are killed at random moments of a burst while agents reclaim: what dead owners hold is freed, what living
// ones hold is not.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { AgentNode, eventually, HURRIED, readLeases } from '../kit/agent-node.ts';
import { burst, toldOf } from '../kit/claim-burst.ts';
import { BUILT_IPAM, type ClusterCall, networkOn } from '../kit/cluster-call.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';

const CLAIMERS = 256;
const SUBNET = '10.63.0.0/24';
const IPAM = { range: SUBNET, exclude: ['10.63.0.77', '10.63.0.200'] };

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
});

interface Owner {
  readonly node: AgentNode;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
}

async function createOwners(nodes: readonly AgentNode[]): Promise<Owner[]> {
  const namespace = await createNamespace(cluster);
  const owners: Owner[] = [];
  const create = async (from: number): Promise<void> => {
    for (let index = from; index < CLAIMERS; index += 8) {
      const node = nodes[index % nodes.length] as AgentNode;
      const name = `p-${index}`;
      const uid = await createPod(cluster, { namespace, name, node: node.name });
      owners[index] = { node, pod: { namespace, name, uid } };
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, from) => create(from)));
  return owners;
}

/** Each third is to die. @returns what a burst is to be told of answers, so that they die all along it */
function killers() {
  const deaths = new Map<number, PromiseWithResolvers<void>>();
  for (let index = 0; index < CLAIMERS; index += 3) deaths.set(index, Promise.withResolvers());
  const killOne = () => {
    const left = [...deaths];
    const [index, death] = left[Math.floor(Math.random() * left.length)] ?? [-1, undefined];
    deaths.delete(index);
    death?.resolve();
  };
  return {
    killed: new Map([...deaths].map(([index, { promise }]) => [index, promise])),
    onAnswer(index: number) {
      deaths.delete(index);
      // In the pace of the others, however fast the machine is.
      if (Math.random() < 0.5) killOne();
    },
    onOpen() {
      const timer = setInterval(() => (deaths.size > 0 ? killOne() : clearInterval(timer)), 50);
    },
  };
}

const heldLeases = async () =>
  [...(await readLeases(cluster)).values()].filter(
    ({ spec }) => spec.subnet === SUBNET && spec.phase === 'Held',
  );

test('a third of 256 processes is killed while agents reclaim: what the dead hold is freed, what the living hold is not', async () => {
  await using first = await AgentNode.join(cluster);
  await using second = await AgentNode.join(cluster);
  await using third = await AgentNode.join(cluster);
  const nodes = [first, second, third];
  const owners = await createOwners(nodes);
  for (const node of nodes) node.startAgent();
  const kubeconfig = cluster.kubeconfig();
  const call = ({ node, pod }: Owner, sandbox: string): ClusterCall => ({
    ...{ verb: 'ADD', container: `${pod.name}-${sandbox}`, pod },
    config: networkOn(node, kubeconfig, IPAM),
  });
  const { killed, ...pace } = killers();
  const calls = owners.map((owner, index) => {
    const death = killed.get(index);
    return { ...call(owner, 'a'), ...(death && { killed: death }) };
  });
  const answers = await burst(BUILT_IPAM, calls, pace);
  const dead = answers.flatMap(({ code }, index) => (code === null ? [index] : []));
  expect(dead.length).toBeGreaterThan(20);
  expect(answers.filter(({ code }) => code !== null && code !== 0)).toEqual([]);
  const told = toldOf(answers);

  // Of the pods whose ADD died, half are deleted; the others begin again, in a new sandbox.
  const gone = dead.filter((_, nth) => nth % 2 === 0).map((index) => owners[index] as Owner);
  const back = dead.filter((_, nth) => nth % 2 === 1).map((index) => owners[index] as Owner);
  for (const { pod } of gone) await deletePod(cluster, pod.namespace, pod.name);
  const later = await burst(
    BUILT_IPAM,
    back.map((owner) => call(owner, 'b')),
  );
  expect(later.filter(({ code }) => code !== 0)).toEqual([]);
  for (const address of toldOf(later).keys()) expect(told).not.toContain(address);

  const expected = [
    ...[...told].map(([address, index]) => `${address} ${owners[index]?.pod.uid} a`),
    ...[...toldOf(later)].map(([address, index]) => `${address} ${back[index]?.pod.uid} b`),
  ].sort();
  const words = async () =>
    (await heldLeases())
      .map(({ spec: { address, owner } }) => `${address} ${owner.uid} ${owner.containerID.slice(-1)}`)
      .sort();
  await eventually(words, (held) => held.length <= expected.length, 60_000);
  expect(await words()).toEqual(expected);
  // Longer than an agent waits before it ends what looks dead.
  await sleep(HURRIED.suspect + 4 * HURRIED.pass);
  expect(await words()).toEqual(expected);
  const rows = nodes.flatMap((node) => node.rows().filter(({ state }) => state !== 'resting'));
  expect(rows.map(({ address, owner, state }) => `${address} ${owner} ${state}`).sort()).toEqual(
    expected.map((line) => `${line.slice(0, -2)} held`),
  );
}, 600_000);
