// manifold-agent and the leases of its own node, against a real API server and real namespaces.
import { spawnSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { markReleasing } from '../../ipam/end-lease.ts';
import type { IpLease } from '../../ipam/ip-lease.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { AgentNode, eventually, readLeases } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { LEASES_PATH } from '../kit/lease-object.ts';

let cluster: Cluster;
let namespace: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  namespace = await createNamespace(cluster);
});

/** A range of its own for each test: what others leave behind does not show. */
let ranges = 0;
const newRange = () => ({ range: `10.${++ranges}.0.0/24` });

const phaseOf = async (address: string) => (await readLeases(cluster)).get(address)?.spec.phase;
const leaseOf = async (address: string): Promise<IpLease | undefined> =>
  (await readLeases(cluster)).get(address);

/** Long enough for a hurried agent to end whatever it would. */
const PATIENCE_MS = 1500;
const staysHeld = async (address: string) => {
  await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  expect(await phaseOf(address)).toBe('Held');
};

async function addPod(node: AgentNode, name: string, ipam = newRange()) {
  const uid = await createPod(cluster, { namespace, name, node: node.name });
  const sandbox = { container: `c-${name}`, namespace, name, uid };
  const [address = ''] = await node.add(ipam, sandbox);
  return { uid, sandbox, address, ipam };
}

test('a pod that is gone, whose DEL never came, leaves its address to rest', async () => {
  await using node = await AgentNode.join(cluster);
  const agent = node.startAgent();
  const { address, sandbox } = await addPod(node, 'gone');
  await deletePod(cluster, namespace, 'gone');
  node.endSandbox(sandbox.container);
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
  await eventually(
    () => node.rows().filter(({ state }) => state !== 'resting'),
    (rows) => rows.length === 0,
  );
  expect(agent.log).toContainEqual(
    expect.objectContaining({
      ...{ event: 'a lease without a living holder', address, pod: `${namespace}/gone`, outcome: 'ended' },
      because: 'its pod is gone, and its network namespace is gone',
    }),
  );
});

test('a pod that is gone keeps its address while its namespace is there, which is said once', async () => {
  await using node = await AgentNode.join(cluster);
  const agent = node.startAgent();
  const { address, sandbox } = await addPod(node, 'lingers');
  await deletePod(cluster, namespace, 'lingers');
  await staysHeld(address);
  expect(agent.log.filter(({ event }) => event === 'a lease is kept')).toEqual([
    expect.objectContaining({ address, because: expect.stringContaining('its network namespace is there') }),
  ]);
  node.endSandbox(sandbox.container);
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('a pod that lives keeps its address, though its sandbox died', async () => {
  await using node = await AgentNode.join(cluster);
  node.startAgent();
  const { address, sandbox } = await addPod(node, 'restarts');
  node.endSandbox(sandbox.container);
  await staysHeld(address);
});

test('a pod whose node has lost its store keeps its address as long as a namespace answers with it', async () => {
  await using node = await AgentNode.join(cluster);
  const { address, sandbox } = await addPod(node, 'forgotten');
  await deletePod(cluster, namespace, 'forgotten');
  node.read((store) => {
    for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
  });
  const agent = node.startAgent();
  await staysHeld(address);
  expect(agent.log).toContainEqual(
    expect.objectContaining({ address, because: 'an interface of this node still has the address' }),
  );
  node.endSandbox(sandbox.container);
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('an address that another domain has too ends by its own pod alone', async () => {
  await using node = await AgentNode.join(cluster);
  const ipam = newRange();
  const { address, sandbox } = await addPod(node, 'first', ipam);
  const blue = { ...ipam, network_name: 'blue' };
  const other = await addPod(node, 'second', blue);
  expect(other.address).toBe(address);
  await deletePod(cluster, namespace, 'first');
  node.endSandbox(sandbox.container);
  node.startAgent();
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
  expect(await phaseOf(`blue.${address}`)).toBe('Held');
});

test.each(['Succeeded', 'Failed'])(
  'a pod that has %s and whose sandbox is gone leaves its address',
  async (phase) => {
    await using node = await AgentNode.join(cluster);
    const name = `job-${phase.toLowerCase()}`;
    const { address, sandbox } = await addPod(node, name);
    await cluster.api(
      'PATCH',
      `/api/v1/namespaces/${namespace}/pods/${name}/status`,
      { status: { phase } },
      'application/merge-patch+json',
    );
    node.startAgent();
    await staysHeld(address);
    node.endSandbox(sandbox.container);
    await eventually(
      () => phaseOf(address),
      (now) => now === 'Resting',
    );
  },
);

test('a static pod is known by the hash of its file, whatever UID its mirror has', async () => {
  await using node = await AgentNode.join(cluster);
  const hash = 'd41d8cd98f00b204e9800998ecf8427e';
  const annotations = { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash };
  const name = `static-${node.name}`;
  const mirror = { namespace, name, node: node.name, annotations };
  await createPod(cluster, mirror);
  const sandbox = { container: 'c-static', namespace, name, uid: hash };
  const [address = ''] = await node.add(newRange(), sandbox);
  node.startAgent();
  node.endSandbox(sandbox.container);
  await staysHeld(address);
  // Made anew by the kubelet, with another UID of its own.
  await deletePod(cluster, namespace, name);
  await createPod(cluster, mirror);
  await staysHeld(address);
  await deletePod(cluster, namespace, name);
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('where the runtime named no pod, the namespace alone decides', async () => {
  await using node = await AgentNode.join(cluster);
  node.startAgent();
  const [address = ''] = await node.add(newRange(), { container: 'c-alone' });
  await staysHeld(address);
  node.endSandbox('c-alone');
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('of two machines under one name neither ends what lives on the other, and each says what it keeps', async () => {
  await using node = await AgentNode.join(cluster);
  await using other = await AgentNode.join(cluster, node.name);
  const uid = await createPod(cluster, { namespace, name: 'on-the-other', node: 'another-name' });
  await createPod(cluster, { namespace, name: 'without-uid', node: 'another-name' });
  const [a = ''] = await other.add(newRange(), { container: 'c-uid', namespace, name: 'on-the-other', uid });
  const [b = ''] = await other.add(newRange(), { container: 'c-no-uid', namespace, name: 'without-uid' });
  const [c = ''] = await other.add(newRange(), { container: 'c-no-pod' });
  const [d = ''] = await other.add(newRange(), { container: 'c-no-namespace', name: 'on-the-other', uid });
  const agent = node.startAgent();
  const kept = () => agent.log.filter(({ event }) => event === 'a lease is kept');
  await eventually(kept, (lines) => lines.length === 3);
  for (const address of [a, b, c, d]) await staysHeld(address);
  expect(new Set(kept().map(({ address }) => address))).toEqual(new Set([b, c, d]));
  expect(kept()).toHaveLength(3);
  expect(kept()[0]?.hint).toContain('manifold leases release');
});

test('an ADD under way keeps its claim, for a pod that nobody knows too; when its process dies it is finished', async () => {
  await using node = await AgentNode.join(cluster);
  node.startAgent();
  const sandbox = { container: 'c-adding', namespace, name: 'unknown', uid: 'unknown-uid' };
  const [address = ''] = await node.add(newRange(), sandbox, 'claimed');
  node.endSandbox(sandbox.container);
  await staysHeld(address);
  const dead = { pid: spawnSync('true').pid ?? 1, startTime: '1', bootId: '' };
  node.read((store) => {
    for (const row of store.clusterLeases.all())
      store.clusterLeases.update({ ...row, writer: { ...dead, bootId: row.writer.bootId } });
  });
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('what a DEL could not finish is finished', async () => {
  await using node = await AgentNode.join(cluster);
  const { address, sandbox } = await addPod(node, 'released');
  node.read((store) =>
    markReleasing({ store, client: node.client }, store.clusterLeases.ofContainer(sandbox.container)),
  );
  expect(await phaseOf(address)).toBe('Held');
  node.startAgent();
  await eventually(
    () => phaseOf(address),
    (phase) => phase === 'Resting',
  );
});

test('the object of a live pod that somebody deleted is made again', async () => {
  await using node = await AgentNode.join(cluster);
  const { address, uid } = await addPod(node, 'deleted-by-hand');
  node.startAgent();
  await cluster.api('DELETE', `${LEASES_PATH}/${address}`);
  const lease = await eventually(
    () => leaseOf(address),
    (found) => found !== undefined,
  );
  expect(lease?.spec).toMatchObject({ phase: 'Held', node: node.name, owner: { uid } });
});

test('the object of an older sandbox is brought up to date', async () => {
  await using node = await AgentNode.join(cluster);
  const { address } = await addPod(node, 'newer');
  const patch = { spec: { owner: { containerID: 'older' } } };
  await cluster.api('PATCH', `${LEASES_PATH}/${address}`, patch, 'application/merge-patch+json');
  node.startAgent();
  await eventually(
    async () => (await leaseOf(address))?.spec.owner.containerID,
    (container) => container === 'c-newer',
  );
});

test("an address that is another holder's by now is cried out with both names, and taken from nobody", async () => {
  await using node = await AgentNode.join(cluster);
  const { address } = await addPod(node, 'had-it');
  const lease = await leaseOf(address);
  await cluster.api('DELETE', `${LEASES_PATH}/${address}`);
  const another = await createPod(cluster, { namespace, name: 'has-it', node: 'elsewhere' });
  const taken = {
    ...lease,
    metadata: { name: address },
    spec: {
      ...lease?.spec,
      node: 'elsewhere',
      owner: { ...lease?.spec.owner, podName: 'has-it', uid: another, containerID: 'c-x' },
    },
  };
  await cluster.api('POST', LEASES_PATH, taken);
  const agent = node.startAgent();
  const [line] = await eventually(
    () => agent.log.filter(({ level }) => level === 'error'),
    (lines) => lines.length > 0,
  );
  expect(line).toMatchObject({
    ...{ address, pod: `${namespace}/had-it` },
    leasedTo: { pod: `${namespace}/has-it`, node: 'elsewhere' },
  });
  await staysHeld(address);
  expect((await leaseOf(address))?.spec.owner.uid).toBe(another);
  expect(agent.log.filter(({ level }) => level === 'error')).toHaveLength(1);
});

test('an agent that sees no namespace of the node ends nothing, and says how it must be run', async () => {
  await using node = await AgentNode.join(cluster);
  const living = await addPod(node, 'witness');
  const { address } = await addPod(node, 'gone-too');
  await deletePod(cluster, namespace, 'gone-too');
  const away = '/run/netns/of-another-mount-namespace';
  node.read((store) => {
    for (const row of store.clusterLeases.all()) store.clusterLeases.update({ ...row, netns: away });
  });
  const agent = node.startAgent({}, node.client, false);
  await staysHeld(address);
  expect(await phaseOf(living.address)).toBe('Held');
  expect(agent.log.filter(({ level }) => level === 'error')).toEqual([
    expect.objectContaining({ hint: expect.stringContaining('HostToContainer') }),
  ]);
});

test('a lease that cannot be ended keeps no other from being ended, and is ended when it can be', async () => {
  await using node = await AgentNode.join(cluster);
  await using proxy = await FaultProxy.start(cluster);
  const [one, two] = [await addPod(node, 'refused'), await addPod(node, 'not-refused')];
  for (const { sandbox } of [one, two]) {
    await deletePod(cluster, namespace, sandbox.name);
    node.endSandbox(sandbox.container);
  }
  const path = new RegExp(`/ipleases/${one.address}$`);
  proxy.inject({ method: 'PUT', path, fault: { kind: 'answer', status: 403 } });
  const client = createKubeClient(await readKubeconfig(proxy.kubeconfig()));
  node.startAgent({}, client);
  await eventually(
    () => phaseOf(two.address),
    (phase) => phase === 'Resting',
  );
  expect(await phaseOf(one.address)).toBe('Held');
  await proxy.clear();
  await eventually(
    () => phaseOf(one.address),
    (phase) => phase === 'Resting',
  );
});

test('while the API server is away nothing is ended, and afterwards what was missed is made up for', async () => {
  await using node = await AgentNode.join(cluster);
  await using proxy = await FaultProxy.start(cluster);
  const client = createKubeClient(await readKubeconfig(proxy.kubeconfig()), { timeoutMs: 500 });
  const [stays, goes] = [await addPod(node, 'stays'), await addPod(node, 'goes')];
  const agent = node.startAgent({}, client);
  await eventually(
    () => agent.log.length,
    (lines) => lines > 1,
  );
  await proxy.setMode('refuse');
  await deletePod(cluster, namespace, 'goes');
  for (const { sandbox } of [stays, goes]) node.endSandbox(sandbox.container);
  await staysHeld(goes.address);
  await proxy.setMode('open');
  await eventually(
    () => phaseOf(goes.address),
    (phase) => phase === 'Resting',
    60_000,
  );
  expect(await phaseOf(stays.address)).toBe('Held');
});
