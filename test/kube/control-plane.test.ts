// The control plane that the other tests of this folder stand on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { execPath, kill } from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { run } from '../kit/build-cache.ts';
import { controlPlaneBinaries } from '../kit/control-plane/binaries.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { startControlPlane } from '../kit/control-plane/control-plane.ts';
import { allObjects } from '../kit/control-plane/empty-cluster.ts';
import { expiredToken } from '../kit/control-plane/expired-token.ts';
import { wantedVersion } from '../kit/control-plane/kubernetes-version.ts';
import {
  createDefinition,
  createNamespace,
  createNode,
  createPod,
  createServiceAccount,
  deletePod,
  serviceAccountToken,
} from '../kit/control-plane/objects.ts';
import { emptySharedCluster, sharedCluster } from '../kit/control-plane/shared-cluster.ts';

const WIDGETS = '/apis/test.manifold.dev/v1/widgets';
const WIDGET_DEFINITION = {
  metadata: { name: 'widgets.test.manifold.dev' },
  spec: {
    group: 'test.manifold.dev',
    scope: 'Cluster',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              size: {
                type: 'integer',
                'x-kubernetes-validations': [{ rule: 'self < 10', message: 'too big' }],
              },
            },
          },
        },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.size' }],
      },
    ],
  },
};

const widget = (name: string, size: number, metadata: object = {}): object => ({
  apiVersion: 'test.manifold.dev/v1',
  kind: 'Widget',
  metadata: { name, ...metadata },
  size,
});

let cluster: Cluster;

beforeAll(async () => {
  cluster = await sharedCluster();
  await createDefinition(cluster, WIDGET_DEFINITION);
});

test('it reports the version that was asked for', async () => {
  const { apiServer } = await controlPlaneBinaries();
  const { gitVersion } = await cluster.api('GET', '/version');

  expect(await run(apiServer, ['--version'], '/')).toBe(`Kubernetes ${gitVersion}\n`);
  expect(gitVersion).toMatch(wantedVersion() ?? /^v1\.\d+\.\d+/);
});

test('a custom resource is validated by its definition and shown by kubectl in its columns', async () => {
  await cluster.api('POST', WIDGETS, widget('small', 3));
  const refused = await cluster.request({ method: 'POST', path: WIDGETS, body: widget('big', 30) });

  expect(refused).toMatchObject({
    status: 422,
    body: { message: expect.stringContaining('too big') as string },
  });
  expect((await cluster.kubectl('get', 'widgets')).split(/\s+/)).toEqual(['NAME', 'SIZE', 'small', '3', '']);
});

test('a ValidatingAdmissionPolicy is obeyed', async () => {
  const base = '/apis/admissionregistration.k8s.io/v1';
  await cluster.api('POST', `${base}/validatingadmissionpolicies`, {
    metadata: { name: 'no-seven' },
    spec: {
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ['test.manifold.dev'],
            apiVersions: ['v1'],
            operations: ['CREATE'],
            resources: ['widgets'],
          },
        ],
      },
      validations: [{ expression: 'object.size != 7', message: 'seven is not allowed' }],
    },
  });
  await cluster.api('POST', `${base}/validatingadmissionpolicybindings`, {
    metadata: { name: 'no-seven' },
    spec: { policyName: 'no-seven', validationActions: ['Deny'] },
  });
  // It comes into force a moment later.
  let answer = await cluster.request({ method: 'POST', path: WIDGETS, body: widget('seven-0', 7) });
  for (let i = 1; i < 100 && answer.status === 201; i += 1) {
    await sleep(50);
    answer = await cluster.request({ method: 'POST', path: WIDGETS, body: widget(`seven-${i}`, 7) });
  }

  expect(answer.status).toBe(422);
  expect(answer.body.message).toContain('seven is not allowed');
});

test('a user may do what a role says, and no more', async () => {
  const credential = cluster.addUser('jane', ['readers']);
  const list = { method: 'GET', path: WIDGETS, credential };
  expect((await cluster.request(list)).status).toBe(403);

  const roles = '/apis/rbac.authorization.k8s.io/v1';
  await cluster.api('POST', `${roles}/clusterroles`, {
    metadata: { name: 'widget-reader' },
    rules: [{ apiGroups: ['test.manifold.dev'], resources: ['widgets'], verbs: ['list'] }],
  });
  await cluster.api('POST', `${roles}/clusterrolebindings`, {
    metadata: { name: 'widget-readers' },
    subjects: [{ kind: 'Group', name: 'readers', apiGroup: 'rbac.authorization.k8s.io' }],
    roleRef: { kind: 'ClusterRole', name: 'widget-reader', apiGroup: 'rbac.authorization.k8s.io' },
  });
  while ((await cluster.request(list)).status === 403) await sleep(20);

  expect((await cluster.request(list)).status).toBe(200);
  expect((await cluster.request({ ...list, method: 'POST', body: widget('mine', 1) })).status).toBe(403);
});

test("a pod's token names its node, and ends with the pod or its time", async () => {
  const namespace = await createNamespace(cluster);
  await createServiceAccount(cluster, namespace, 'agent');
  await createNode(cluster, 'gpu-12');
  await createPod(cluster, { namespace, name: 'agent-x', node: 'gpu-12', serviceAccount: 'agent' });
  const wanted = { namespace, serviceAccount: 'agent', pod: 'agent-x' };
  const [token, unused] = [
    await serviceAccountToken(cluster, wanted),
    await serviceAccountToken(cluster, wanted),
  ];
  const review = await cluster.api('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    spec: { token },
  });
  const statusFor = async (credential: { token: string }): Promise<number> =>
    (await cluster.request({ method: 'GET', path: '/api', credential })).status;

  expect(review.status).toMatchObject({
    authenticated: true,
    user: {
      username: `system:serviceaccount:${namespace}:agent`,
      extra: { 'authentication.kubernetes.io/node-name': ['gpu-12'] },
    },
  });
  expect(await statusFor({ token })).toBe(200);
  expect(await statusFor({ token: expiredToken(cluster, token) })).toBe(401);
  await deletePod(cluster, namespace, 'agent-x');
  // What the API server found about a token that it has seen it keeps for ten seconds.
  expect(await statusFor({ token: unused })).toBe(401);
});

test('what a file leaves is gone for the next one', async () => {
  const before = await allObjects(cluster);
  const namespace = await createNamespace(cluster);
  await createPod(cluster, { namespace, name: 'left', node: 'gone' });
  await cluster.api('POST', WIDGETS, widget('held', 1, { finalizers: ['test.manifold.dev/never'] }));
  await emptySharedCluster(cluster);

  const after = await allObjects(cluster);
  expect(after.filter((path) => !before.includes(path))).toEqual([]);
  expect(after.filter((path) => path.includes('widgets'))).toEqual([]);
});

test('a control plane that is stopped and started has its objects, and tells what it was asked', async () => {
  const plane = await startControlPlane({ audit: true });
  await using _closed = plane;
  const namespace = await createNamespace(plane);
  const path = `/api/v1/namespaces/${namespace}`;
  const before = plane.pids;
  await plane.stopApiServer();
  await expect(plane.request({ method: 'GET', path })).rejects.toThrow('ECONNREFUSED');
  await plane.startApiServer();
  await plane.stopEtcd();
  expect(await statusOf(plane, `${path}?timeout=1s`)).not.toBe(200);
  await plane.startEtcd();
  while ((await statusOf(plane, `${path}?timeout=1s`)) !== 200) await sleep(50);

  expect(plane.pids.apiServer).not.toBe(before.apiServer);
  expect(plane.pids.etcd).not.toBe(before.etcd);
  const created = plane
    .auditLog()
    .filter(({ verb, requestURI }) => verb === 'create' && requestURI === '/api/v1/namespaces')
    .filter(({ user }) => user.username === 'admin');
  expect(created.map(({ responseStatus }) => responseStatus?.code)).toEqual([201]);
  await plane.close();
  expect(existsSync(plane.place.directory)).toBe(false);
});

test('a server that does not start says why', async () => {
  await expect(startControlPlane({ apiServerArgs: ['--no-such-flag'] })).rejects.toThrow(
    /^Cannot start kube-apiserver: it ended \(1\)\n.*unknown flag: --no-such-flag/s,
  );
});

test('servers end with the process that started them, even by kill -9', async () => {
  const file = new URL('../kit/control-plane/control-plane.ts', import.meta.url).href;
  const code = `
    const { startControlPlane } = await import(${JSON.stringify(file)});
    const { pids, place } = await startControlPlane();
    console.log(JSON.stringify([pids.apiServer, pids.etcd, place.directory]));
    setInterval(() => {}, 1000);`;
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code];
  const starter = spawn(execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(starter.stdout), 'line')) as [string];
  const [apiServer, etcd, directory] = JSON.parse(line) as [number, number, string];
  expect([isAlive(apiServer), isAlive(etcd)]).toEqual([true, true]);
  starter.kill('SIGKILL');
  while (isAlive(apiServer) || isAlive(etcd)) await sleep(20);
  rmSync(directory, { recursive: true });
});

/** Undefined where the connection was reset: without etcd the API server does that as well as answering 504. */
async function statusOf(cluster: Cluster, path: string): Promise<number | undefined> {
  try {
    return (await cluster.request({ method: 'GET', path })).status;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}
