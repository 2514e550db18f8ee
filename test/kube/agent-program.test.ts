// manifold-agent with the rights of deploy/ and no more, and as a process: flags, lock, signals.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RECLAIM_LEASE } from '../../meta/agent/leadership.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { deployManifold } from '../kit/admission.ts';
import { AgentNode, eventually, readLeases } from '../kit/agent-node.ts';
import { untilEnforced } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import {
  createNamespace,
  createNode,
  createPod,
  deletePod,
  serviceAccountToken,
} from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject, POOLS_PATH, poolObject, RESTING } from '../kit/lease-object.ts';

const SOURCE = join(import.meta.dirname, '../../meta/bin/manifold-agent.ts');

let cluster: Cluster;
let namespace: string;
const directory = mkdtempSync(join(tmpdir(), 'manifold-agent-'));
const running: ChildProcess[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  await cluster.request({
    ...{ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: 'kube-node-lease' } } },
  });
  await deployManifold(cluster);
  namespace = await createNamespace(cluster);
});

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

interface Agent {
  readonly child: ChildProcess;
  readonly stderr: () => string;
  readonly lines: () => readonly {
    readonly level: string;
    readonly event: string;
    readonly reason?: string;
  }[];
  readonly ended: Promise<number | null>;
}

function start(...flags: string[]): Agent {
  const child = spawn(execPath, ['--disable-warning=ExperimentalWarning', SOURCE, ...flags], {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.push(child);
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  return {
    child,
    stderr: () => text,
    lines: () => text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)])),
    ended: new Promise((resolve) => child.once('close', resolve)),
  };
}

/** A kubeconfig as the agent's pod on that node has it. */
async function agentKubeconfig(node: string): Promise<string> {
  const pod = `agent-${node}`;
  await createNode(cluster, node);
  await createPod(cluster, { namespace: 'kube-system', name: pod, node, serviceAccount: 'manifold-agent' });
  const wanted = { namespace: 'kube-system', serviceAccount: 'manifold-agent', pod };
  return cluster.kubeconfig({ token: await serviceAccountToken(cluster, wanted) });
}

test('it does all its work with its own rights, on its own node and, reclaiming, on others', async () => {
  await using node = await AgentNode.join(cluster);
  const kubeconfig = await agentKubeconfig(node.name);
  await untilEnforced(async () => {
    const token = await serviceAccountToken(cluster, {
      namespace: 'kube-system',
      serviceAccount: 'manifold-agent',
    });
    const body = leaseObject();
    const answer = await cluster.request({
      ...{ method: 'POST', path: `${LEASES_PATH}?dryRun=All`, body, credential: { token } },
    });
    return answer.status === 403;
  });
  const uid = await createPod(cluster, { namespace, name: 'own', node: node.name });
  const sandbox = { container: 'c-own', namespace, name: 'own', uid };
  const [address = ''] = await node.add({ range: '10.70.0.0/24' }, sandbox);
  const released = { ...sandbox, container: 'c-released', name: 'released', uid: 'released' };
  const [left = ''] = await node.add({ range: '10.70.0.0/24' }, released);
  node.read((store) => {
    for (const row of store.clusterLeases.ofContainer('c-released'))
      store.clusterLeases.update({
        ...row,
        state: 'releasing',
        released: Date.now(),
        writer: { ...row.writer, pid: 0 },
      });
  });
  await cluster.api('POST', LEASES_PATH, leaseObject({ ...RESTING, node: 'lost', address: '10.1.0.9' }));
  await cluster.api('POST', POOLS_PATH, poolObject({ range: '10.70.0.0/24' }, 'rights'));
  const client = createKubeClient(await readKubeconfig(kubeconfig));
  const agent = node.startAgent({}, client);
  await eventually(
    async () => (await readLeases(cluster)).get(left)?.spec.phase,
    (phase) => phase === 'Resting',
  );
  // Of another node, which only the reclaiming one may delete.
  await eventually(
    async () => (await readLeases(cluster)).has('10.1.0.9'),
    (there) => !there,
  );
  await eventually(
    async () => (await cluster.api('GET', `${POOLS_PATH}/rights`)).status?.used,
    (used) => used === 1,
  );
  await cluster.api('DELETE', `${LEASES_PATH}/${address}`);
  await eventually(
    async () => (await readLeases(cluster)).get(address)?.spec.owner.uid,
    (owner) => owner === uid,
  );
  await deletePod(cluster, namespace, 'own');
  node.endSandbox('c-own');
  await eventually(
    async () => (await readLeases(cluster)).get(address)?.spec.phase,
    (phase) => phase === 'Resting',
  );
  await agent.stop();
  // A moment after it leads the policies may not know it yet: nothing else may be refused.
  const refused = agent.log.filter(({ reason }) => /forbidden/i.test(String(reason)));
  expect(refused.filter(({ reason }) => !String(reason).includes(RECLAIM_LEASE))).toEqual([]);
});

test('a second agent of a node waits for the first, and serves when that one is killed', async () => {
  const flags = [
    '--kubeconfig',
    cluster.kubeconfig(),
    '--node-name',
    'twice',
    '--state-dir',
    join(directory, 'twice'),
  ];
  const first = start(...flags);
  await eventually(first.lines, (lines) => lines.some(({ event }) => event === 'agent serves'));
  const second = start(...flags);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(second.stderr()).toBe('');
  first.child.kill('SIGKILL');
  await eventually(second.lines, (lines) => lines.some(({ event }) => event === 'agent serves'));
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  expect(second.lines().at(-1)?.event).toBe('agent ends');
});

test('it goes on while the API server is away, and ends at once when it is told to', async () => {
  const state = ['--state-dir', join(directory, 'away'), '--node-name', 'away'];
  const kubeconfig = cluster.kubeconfig(undefined, { url: 'https://127.0.0.1:1' });
  const agent = start('--kubeconfig', kubeconfig, ...state);
  await eventually(agent.lines, (lines) => lines.some(({ level }) => level === 'warn'));
  agent.child.kill('SIGTERM');
  expect(await agent.ended).toBe(0);
});

test.each([
  [['--kubeconfig', '/none/such'], /\/none\/such/],
  [[], /this is no pod/],
  [['--node-silence', '1s'], /--node-silence must be/],
])('with %o it ends with what is wrong and what to do', async (flags, message) => {
  const agent = start('--state-dir', join(directory, 'wrong'), ...flags);
  expect(await agent.ended).toBe(1);
  expect(agent.stderr()).toMatch(message);
  expect(agent.stderr().trimEnd().split('\n')).toHaveLength(2);
});
