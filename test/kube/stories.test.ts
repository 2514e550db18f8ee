// What users of other address managers have reported, each as a test named after its story.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import type { KubeClient, KubeObject, KubeResource, Place } from '../../pkg/kube/kube-client.ts';
import { AgentNode, eventually, HURRIED, readLeases } from '../kit/agent-node.ts';
import type { ClaimAnswer, ClaimOrder } from '../kit/claim-program.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, POOLS_PATH, poolObject } from '../kit/lease-object.ts';
import { LeaseWatch } from '../kit/lease-watch.ts';

let cluster: Cluster;
let namespace: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  namespace = await createNamespace(cluster);
});

let ranges = 0;
const newRange = (length = 24) => `10.${++ranges}.0.0/${length}`;

const leaseOf = async (address: string): Promise<IpLease | undefined> =>
  (await readLeases(cluster)).get(address);
const phaseOf = async (address: string) => (await leaseOf(address))?.spec.phase;
const heldIn = async (range: string): Promise<IpLease[]> =>
  [...(await readLeases(cluster)).values()].filter(
    ({ spec }) => spec.subnet === range && spec.phase === 'Held',
  );

async function startPod(
  node: AgentNode,
  name: string,
  ipam: { readonly range: string },
  sandbox = `c-${name}`,
) {
  const uid = await createPod(cluster, { namespace, name, node: node.name });
  const [address = ''] = await node.add(ipam, { container: sandbox, namespace, name, uid });
  return { uid, address, sandbox: { container: sandbox, namespace, name, uid } };
}

test('whereabouts 176, 162, 182: the reconciler frees the live address of a re-created StatefulSet pod', async () => {
  await using node = await AgentNode.join(cluster);
  node.startAgent();
  const ipam = { range: newRange() };
  const watch = new LeaseWatch(node.client);
  await watch.start();
  let last = { uid: '', address: '' };
  for (let round = 0; round < 6; round++) {
    const pod = await startPod(node, 'web-0', ipam, `c-web-${round}`);
    const from = BigInt((await leaseOf(pod.address))?.metadata.resourceVersion ?? 0);
    const life = watch.begin({ address: pod.address, uid: pod.uid, from });
    last = pod;
    // As long as an agent takes to look twice.
    await new Promise((resolve) => setTimeout(resolve, HURRIED.suspect + 2 * HURRIED.pass));
    if (round === 5) break;
    await watch.end(life);
    await deletePod(cluster, namespace, 'web-0');
    // No DEL: the agent has the old one to end while the new one, of the same name, begins.
    node.endSandbox(pod.sandbox.container);
  }
  await eventually(
    () => heldIn(ipam.range),
    (held) => held.length === 1,
  );
  expect((await leaseOf(last.address))?.spec).toMatchObject({ phase: 'Held', owner: { uid: last.uid } });
  await watch.stop();
  expect([...watch.faults]).toEqual([]);
  expect(watch.events.leases).toBeGreaterThan(10);
});

test('whereabouts 291: a pod cannot restart because the pool is full, though it holds an address', async () => {
  await using node = await AgentNode.join(cluster);
  const ipam = { range: newRange(30) };
  const first = await startPod(node, 'full-0', ipam);
  await startPod(node, 'full-1', ipam);
  await expect(startPod(node, 'full-2', ipam)).rejects.toMatchObject({ code: 'no-address' });
  const restarted = { ...first.sandbox, container: 'c-full-0-again' };
  expect(await node.add(ipam, restarted)).toEqual([first.address]);
  // The late DEL of the sandbox before does not take it away.
  await node.del(first.sandbox);
  expect((await leaseOf(first.address))?.spec).toMatchObject({ phase: 'Held', owner: { uid: first.uid } });
});

test('whereabouts 288: a freed address is given again at once', async () => {
  await using node = await AgentNode.join(cluster);
  const ipam = { range: newRange(29) };
  const freed = await startPod(node, 'freed', ipam);
  await node.del(freed.sandbox);
  expect(await phaseOf(freed.address)).toBe('Resting');
  const others: string[] = [];
  for (let pod = 0; pod < 5; pod++) others.push((await startPod(node, `next-${pod}`, ipam)).address);
  expect(others).not.toContain(freed.address);
  // Only when there is no other, unless the definition says how long it rests.
  const strict = { ...ipam, reuseDelay: '10m' };
  const last = await startPod(node, 'last', strict).catch((error) => error);
  expect(last.address ?? last.code).toBe(freed.address);
  await node.del({ container: 'c-last' });
  await expect(startPod(node, 'too-early', ipam)).rejects.toMatchObject({ code: 'no-address' });
});

test('whereabouts 558, 497: the object of a pool grows until it is too big', async () => {
  await using node = await AgentNode.join(cluster);
  const range = newRange(16);
  const sizes: number[] = [];
  for (let round = 0; round < 10; round++) {
    const pods = Array.from({ length: 30 }, (_, pod) => ({
      container: `c-many-${round}-${pod}`,
      ...{ namespace, name: `many-${round}-${pod}`, uid: `uid-many-${round}-${pod}` },
    }));
    const answers = await claimElsewhere({ nodes: [node.name], podsEach: pods.length, range }, `${round}`);
    const { body } = await cluster.request({
      method: 'GET',
      path: `${LEASES_PATH}/${answers[0]?.addresses[0]}`,
    });
    sizes.push(JSON.stringify(body).length);
  }
  expect((await heldIn(range)).length).toBe(300);
  // One object an address: the three hundredth is as small as the first.
  expect(Math.max(...sizes)).toBeLessThan(2500);
  expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(100);
});

test('whereabouts 393: pool objects are found empty, and every address is given a second time', async () => {
  await using node = await AgentNode.join(cluster);
  const range = newRange();
  await cluster.api('POST', POOLS_PATH, poolObject({ range }, 'emptied'));
  const first = await startPod(node, 'before', { range });
  const status = { capacity: '254', used: 0, resting: 0, free: '254', conditions: [] };
  await cluster.api('PATCH', `${POOLS_PATH}/emptied/status`, { status }, 'application/merge-patch+json');
  await cluster.api('DELETE', `${POOLS_PATH}/emptied`);
  const second = await startPod(node, 'after', { range });
  expect(second.address).not.toBe(first.address);
  expect(await phaseOf(first.address)).toBe('Held');
});

/** From processes of their own. */
async function claimElsewhere(order: Omit<ClaimOrder, 'kubeconfig'>, prefix = ''): Promise<ClaimAnswer[]> {
  const program = join(import.meta.dirname, '../kit/claim-program.ts');
  const nodes = order.nodes.map((node) => `${node}${prefix && `-${prefix}`}`);
  const whole: ClaimOrder = { ...order, nodes, kubeconfig: cluster.kubeconfig() };
  const { stdout } = await promisify(execFile)(
    execPath,
    ['--disable-warning=ExperimentalWarning', program, JSON.stringify(whole)],
    { maxBuffer: 64 << 20 },
  );
  return JSON.parse(stdout) as ClaimAnswer[];
}

test('whereabouts 110: duplicate addresses when 500 pods start on 100 nodes', async () => {
  const range = newRange(22);
  const nodes = Array.from({ length: 100 }, (_, index) => `burst-${index}`);
  const shares = Array.from({ length: 4 }, (_, share) => nodes.filter((_node, index) => index % 4 === share));
  const answers = await Promise.all(
    shares.map((share) => claimElsewhere({ nodes: share, podsEach: 5, range })),
  );
  const given = answers.flat().flatMap(({ addresses }) => addresses);
  expect(given).toHaveLength(500);
  expect(new Set(given).size).toBe(500);
  const owners = new Map((await heldIn(range)).map(({ spec }) => [spec.address, spec.owner.podName]));
  for (const { pod, addresses } of answers.flat()) expect(owners.get(addresses[0] ?? '')).toBe(pod);
});

test('spiderpool 4379: a pod out of addresses on one network drains the pools of the others by retrying', async () => {
  await using node = await AgentNode.join(cluster);
  const [full, roomy] = [{ range: newRange(30) }, { range: newRange() }];
  await startPod(node, 'takes-one', full);
  await startPod(node, 'takes-the-other', full);
  const uid = await createPod(cluster, { namespace, name: 'retries', node: node.name });
  for (let retry = 0; retry < 20; retry++) {
    const sandbox = { container: `c-retry-${retry}`, namespace, name: 'retries', uid };
    const claim = node.addAll(
      [
        [roomy, { ...sandbox, ifname: 'net1', network: 'roomy' }],
        [full, { ...sandbox, ifname: 'net2', network: 'full' }],
      ],
      'claimed',
    );
    await expect(claim).rejects.toMatchObject({ code: 'no-address' });
    node.endSandbox(sandbox.container);
  }
  expect(await heldIn(roomy.range)).toEqual([]);
  const all = [...(await readLeases(cluster)).values()].filter(({ spec }) => spec.subnet === roomy.range);
  expect(all.length).toBeLessThanOrEqual(1);
});

test('whereabouts 546: pods that are deleted while the component is down keep their addresses for ever', async () => {
  await using node = await AgentNode.join(cluster);
  const ipam = { range: newRange() };
  const pods = [];
  for (const name of ['down-0', 'down-1', 'down-2']) pods.push(await startPod(node, name, ipam));
  for (const { sandbox } of pods) {
    await deletePod(cluster, namespace, sandbox.name);
    node.endSandbox(sandbox.container);
  }
  // It sees no deletion: nobody was there to watch.
  node.startAgent();
  await eventually(
    () => heldIn(ipam.range),
    (held) => held.length === 0,
  );
});

test('whereabouts 75: the late DEL of a node that crashed frees an address that was given again', async () => {
  await using crashed = await AgentNode.join(cluster);
  await using other = await AgentNode.join(cluster);
  const ipam = { range: newRange(32) };
  const before = await startPod(crashed, 'moved-0', ipam);
  await deletePod(cluster, namespace, 'moved-0');
  // Nothing renews its Leases, and its pod is gone: the agent of the other node reclaims.
  const agent = other.startAgent({ nodeSilenceMs: 3000 });
  await eventually(
    () => phaseOf(before.address),
    (phase) => phase === 'Resting',
    60_000,
  );
  await agent.stop();
  const after = await startPod(other, 'moved-0', ipam, 'c-moved-again');
  expect(after.address).toBe(before.address);
  // The node comes back, and its kubelet ends the old sandbox.
  await crashed.del(before.sandbox);
  crashed.startAgent();
  await new Promise((resolve) => setTimeout(resolve, HURRIED.suspect + 3 * HURRIED.pass));
  expect((await leaseOf(after.address))?.spec).toMatchObject({ phase: 'Held', owner: { uid: after.uid } });
  expect(crashed.rows().filter(({ state }) => state !== 'resting')).toEqual([]);
});

test.each(['Succeeded', 'Failed'])(
  'whereabouts 598, 485: pods of Jobs that have %s keep their addresses',
  async (phase) => {
    await using node = await AgentNode.join(cluster);
    const name = `job-${phase.toLowerCase()}`;
    const { address, sandbox } = await startPod(node, name, { range: newRange() });
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    await cluster.api('PATCH', path, { status: { phase } }, 'application/merge-patch+json');
    node.endSandbox(sandbox.container);
    node.startAgent();
    await eventually(
      () => phaseOf(address),
      (now) => now === 'Resting',
    );
    // The pod itself is still there, to be looked at.
    expect((await cluster.api('GET', path)).status.phase).toBe(phase);
  },
);

test('spiderpool 2526, dranet 103: the garbage collector frees what was given again a moment before', async () => {
  await using node = await AgentNode.join(cluster);
  const ipam = { range: newRange(32) };
  const old = await startPod(node, 'again-0', ipam);
  // This node has forgotten it: the agent decides by the API server alone.
  node.read((store) => {
    for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
  });
  await deletePod(cluster, namespace, 'again-0');
  node.endSandbox(old.sandbox.container);
  let young: { readonly uid: string; readonly address: string } | undefined;
  /** Between the agent's last look and its write, the address is freed and given to the pod of the same name. */
  const late: KubeClient = {
    ...node.client,
    async replace<T extends KubeObject>(resource: KubeResource, object: T, place?: Place): Promise<T> {
      if (resource === IP_LEASES && young === undefined) {
        await cluster.api('DELETE', `${LEASES_PATH}/${old.address}`);
        young = await startPod(node, 'again-0', ipam, 'c-again-new');
      }
      return node.client.replace(resource, object, place);
    },
  };
  const agent = node.startAgent({}, late);
  const line = await eventually(
    () => agent.log.find(({ event }) => event === 'a lease without a living holder'),
    (found) => found !== undefined,
  );
  expect(line?.outcome).toBe('changed');
  expect(young?.address).toBe(old.address);
  await new Promise((resolve) => setTimeout(resolve, HURRIED.suspect + 3 * HURRIED.pass));
  expect((await leaseOf(old.address))?.spec).toMatchObject({ phase: 'Held', owner: { uid: young?.uid } });
});
