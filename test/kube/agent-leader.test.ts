// What one of the agents does for all nodes: who does it, what lost nodes leave, what has rested, what pools show.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { IpPoolStatus } from '../../ipam/ip-pool.ts';
import { heartbeatName } from '../../meta/agent/heartbeat.ts';
import { RECLAIM_LEASE } from '../../meta/agent/leadership.ts';
import { AgentNode, eventually, HURRIED, readLeases } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createNode, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject, POOLS_PATH, poolObject, RESTING } from '../kit/lease-object.ts';

const COORDINATION = '/apis/coordination.k8s.io/v1/namespaces';

let cluster: Cluster;
let namespace: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  await cluster.request({
    ...{ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: 'kube-node-lease' } } },
  });
  namespace = await createNamespace(cluster);
});

let ranges = 100;
const newRange = () => ({ range: `10.${++ranges}.0.0/24` });
const phaseOf = async (address: string) => (await readLeases(cluster)).get(address)?.spec.phase;
const holder = async (): Promise<string> =>
  (await cluster.request({ method: 'GET', path: `${COORDINATION}/kube-system/leases/${RECLAIM_LEASE}` })).body
    ?.spec?.holderIdentity ?? '';

/** An agent that reclaims, and nothing of its own. */
async function leader() {
  const node = await AgentNode.join(cluster);
  const agent = node.startAgent();
  await eventually(holder, (name) => name === node.name);
  return { node, agent, [Symbol.asyncDispose]: () => node.close() };
}

/** A node without an agent, whose kubelet renews its Lease until it is stopped. */
async function plainNode(withNodeObject = true) {
  const node = await AgentNode.join(cluster);
  if (withNodeObject) await createNode(cluster, node.name);
  const path = `${COORDINATION}/kube-node-lease/leases`;
  await cluster.api('POST', path, { metadata: { name: node.name }, spec: { holderIdentity: node.name } });
  let renewing = true;
  const ended = (async () => {
    while (renewing) {
      const patch = { spec: { renewTime: new Date().toISOString().replace('Z', '000Z') } };
      await cluster.api('PATCH', `${path}/${node.name}`, patch, 'application/merge-patch+json');
      await sleep(200);
    }
  })();
  return {
    node,
    async stopKubelet() {
      renewing = false;
      await ended;
    },
    async [Symbol.asyncDispose]() {
      renewing = false;
      await ended;
      await node.close();
    },
  };
}

async function addPod(node: AgentNode, name: string) {
  const uid = await createPod(cluster, { namespace, name, node: node.name });
  const [address = ''] = await node.add(newRange(), { container: `c-${name}`, namespace, name, uid });
  return { uid, address };
}

test('one of the agents reclaims; when it ends another follows at once, and its heartbeat stays', async () => {
  await using one = await AgentNode.join(cluster);
  await using two = await AgentNode.join(cluster);
  const agents = new Map([one, two].map((node) => [node.name, node.startAgent()]));
  const first = await eventually(holder, (name) => agents.has(name));
  await agents.get(first)?.stop();
  expect(await holder()).toBe('');
  const second = await eventually(holder, (name) => name !== '');
  expect(second).not.toBe(first);
  const heartbeats = `${COORDINATION}/kube-system/leases/${heartbeatName(first)}`;
  expect((await cluster.api('GET', heartbeats)).spec).toMatchObject({
    holderIdentity: first,
    leaseDurationSeconds: 40,
  });
});

test('an agent that dies without giving back is followed when its Lease has not changed for as long as it lasts', async () => {
  await using node = await AgentNode.join(cluster);
  const path = `${COORDINATION}/kube-system/leases/${RECLAIM_LEASE}`;
  const spec = { holderIdentity: 'dead', leaseDurationSeconds: 1, renewTime: '2099-01-01T00:00:00.000000Z' };
  await cluster.api('PATCH', path, { spec }, 'application/merge-patch+json');
  node.startAgent();
  await sleep(HURRIED.leaseDuration / 2);
  expect(await holder()).toBe('dead');
  await eventually(holder, (name) => name === node.name);
});

test('the heartbeat is renewed, and belongs to the Node', async () => {
  await using node = await AgentNode.join(cluster);
  await createNode(cluster, node.name);
  const agent = node.startAgent();
  const path = `${COORDINATION}/kube-system/leases/${heartbeatName(node.name)}`;
  const read = async () => (await cluster.request({ method: 'GET', path })).body;
  const first = await eventually(read, ({ spec }) => spec !== undefined);
  expect(first.metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: node.name }]);
  const second = await eventually(read, ({ spec }) => spec.renewTime !== first.spec.renewTime);
  expect(Math.abs(Date.parse(second.spec.renewTime) - Date.now())).toBeLessThan(10_000);
  // Deleted by hand: made again.
  await cluster.api('DELETE', path);
  await eventually(read, ({ spec }) => spec !== undefined);
  expect(agent.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a node that is gone leaves the addresses of its pods that are gone, and of no other', async () => {
  await using _ = await leader();
  await using lost = await plainNode();
  const gone = await addPod(lost.node, 'gone-with-node');
  const there = await addPod(lost.node, 'still-known');
  await deletePod(cluster, namespace, 'gone-with-node');
  await cluster.api('DELETE', `/api/v1/nodes/${lost.node.name}`);
  // Its kubelet still renews: it may be ending what ran there.
  await sleep(HURRIED.goneSilence * 2);
  expect(await phaseOf(gone.address)).toBe('Held');
  await lost.stopKubelet();
  await eventually(
    () => phaseOf(gone.address),
    (phase) => phase === 'Resting',
  );
  expect(await phaseOf(there.address)).toBe('Held');
});

test('a node that is there and silent leaves what pods held that nobody knows any more', async () => {
  await using reclaiming = await leader();
  await using lost = await plainNode();
  const gone = await addPod(lost.node, 'deleted-by-force');
  const there = await addPod(lost.node, 'may-come-back');
  await deletePod(cluster, namespace, 'deleted-by-force');
  await sleep(5000);
  expect(await phaseOf(gone.address), 'its kubelet lives').toBe('Held');
  await lost.stopKubelet();
  await eventually(
    () => phaseOf(gone.address),
    (phase) => phase === 'Resting',
  );
  expect(await phaseOf(there.address)).toBe('Held');
  expect(reclaiming.agent.log).toContainEqual(
    expect.objectContaining({
      ...{ event: 'a lease of a lost node', address: gone.address, node: lost.node.name, outcome: 'ended' },
      because: expect.stringMatching(/^its node has been silent for \d+ s, and there is no such pod$/),
    }),
  );
});

test('a node whose agent lives is not lost, whatever its kubelet does', async () => {
  await using _ = await leader();
  await using lost = await plainNode();
  await lost.stopKubelet();
  const { address } = await addPod(lost.node, 'kubelet-restarts');
  await deletePod(cluster, namespace, 'kubelet-restarts');
  // Its own agent sees the namespace, which is still there.
  lost.node.startAgent();
  await sleep(6000);
  expect(await phaseOf(address)).toBe('Held');
});

test("a pod of the same name that was made again elsewhere does not keep the old one's address", async () => {
  await using _ = await leader();
  await using lost = await plainNode();
  const { address } = await addPod(lost.node, 'web-0');
  await deletePod(cluster, namespace, 'web-0');
  await createPod(cluster, { namespace, name: 'web-0', node: 'another' });
  await cluster.api('DELETE', `/api/v1/nodes/${lost.node.name}`);
  await lost.stopKubelet();
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('a node that the configuration calls otherwise than its Node keeps what its pods have, which is said once', async () => {
  await using reclaiming = await leader();
  await using misnamed = await AgentNode.join(cluster);
  const realName = `${misnamed.name}.example.com`;
  await createNode(cluster, realName);
  const uid = await createPod(cluster, { namespace, name: 'misnamed', node: realName });
  await createPod(cluster, { namespace, name: 'misnamed-no-uid', node: realName });
  const addresses: string[] = [];
  for (const sandbox of [
    { container: 'c-uid', namespace, name: 'misnamed', uid },
    { container: 'c-no-uid', namespace, name: 'misnamed-no-uid' },
    { container: 'c-no-pod' },
    { container: 'c-no-namespace', name: 'misnamed', uid },
  ])
    addresses.push(...(await misnamed.add(newRange(), sandbox)));
  const warned = () =>
    reclaiming.agent.log.filter(
      ({ event, node }) => event.includes('called otherwise') && node === misnamed.name,
    );
  await eventually(warned, (lines) => lines.length > 0);
  await sleep(2 * 4000);
  for (const address of addresses) expect(await phaseOf(address)).toBe('Held');
  expect(warned()).toEqual([expect.objectContaining({ isOnNode: realName, leases: 4 })]);
});

test('what has rested is deleted, what rests stays', async () => {
  const until = new Date(Date.now() + 600_000).toISOString();
  const rested = leaseObject({ ...RESTING, address: '10.99.0.1', subnet: '10.99.0.0/24' });
  const rests = leaseObject({ ...RESTING, until, address: '10.99.0.2', subnet: '10.99.0.0/24' });
  const sticky = leaseObject({ ...RESTING, phase: 'Sticky', address: '10.99.0.3', subnet: '10.99.0.0/24' });
  for (const lease of [rested, rests, sticky]) await cluster.api('POST', LEASES_PATH, lease);
  await using _ = await leader();
  await eventually(
    async () => [...(await readLeases(cluster)).keys()].filter((name) => name.startsWith('10.99.')),
    (names) => names.join() === '10.99.0.2',
  );
});

test('a pool shows how many of its addresses are held and free, and a bad one why', async () => {
  await using reclaiming = await leader();
  await cluster.api('POST', POOLS_PATH, poolObject({ range: '10.98.0.0/24' }, 'good'));
  const statusOf = async (name: string): Promise<IpPoolStatus | undefined> =>
    (await cluster.api('GET', `${POOLS_PATH}/${name}`)).status;
  await eventually(
    () => statusOf('good'),
    (status) => status?.free === '254' && status.used === 0,
  );
  const uid = await createPod(cluster, { namespace, name: 'in-pool', node: reclaiming.node.name });
  await reclaiming.node.add(
    { range: '10.98.0.0/24' },
    { container: 'c-in-pool', namespace, name: 'in-pool', uid },
  );
  const status = await eventually(
    () => statusOf('good'),
    (now) => now?.used === 1,
  );
  expect(status).toMatchObject({ capacity: '254', free: '253', resting: 0 });
  expect(await cluster.kubectl('get', 'ippools', 'good', '--no-headers')).toMatch(
    /10\.98\.0\.0\/24 +1 +253 +0 +True/,
  );
  await cluster.api(
    'POST',
    POOLS_PATH,
    poolObject({ range: '10.98.1.0/30', exclude: ['10.98.1.0/30'] }, 'bad'),
  );
  const bad = await eventually(
    () => statusOf('bad'),
    (now) => now !== undefined,
  );
  expect(bad?.conditions).toContainEqual(
    expect.objectContaining({
      type: 'Valid',
      status: 'False',
      message: expect.stringContaining('leave an address'),
    }),
  );
});
