// The API client against a real API server, with faults by a proxy between the two.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKubeClient, type KubeClientOptions } from '../../pkg/kube/create-kube-client.ts';
import type { KubeClient, KubeObject, KubeResource } from '../../pkg/kube/kube-client.ts';
import { KubeError } from '../../pkg/kube/kube-error.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { createAuthority } from '../kit/certificate.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { expiredToken } from '../kit/control-plane/expired-token.ts';
import { createNamespace, serviceAccountToken } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import type { Fault } from '../kit/fault-proxy/fault.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';

const MAPS: KubeResource = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const PODS: KubeResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

let cluster: Cluster;
let proxy: FaultProxy;
let namespace: string;
const open: KubeClient[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  proxy = await FaultProxy.start(cluster);
  namespace = await createNamespace(cluster);
});
afterEach(async () => {
  for (const one of open.splice(0)) one.close();
  await proxy.clear();
});
afterAll(() => proxy?.close());

async function clientOf(kubeconfig: string, options: KubeClientOptions = {}): Promise<KubeClient> {
  const client = createKubeClient(await readKubeconfig(kubeconfig), { timeoutMs: 5000, ...options });
  open.push(client);
  return client;
}
const faulty = (options: KubeClientOptions = {}) => clientOf(proxy.kubeconfig(), options);

const map = (value: string, name = `map-${randomBytes(4).toString('hex')}`): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { value },
});
const ours = (value: string) => ({ namespace, isOurs: (found: ConfigMap) => found.data?.value === value });
const make = (client: KubeClient, value: string, name?: string) =>
  client.create(MAPS, map(value, name), ours(value));

/** What the API server has, past the proxy. */
async function storedValue(name: string): Promise<string | undefined> {
  const answer = await cluster.request({
    method: 'GET',
    path: `/api/v1/namespaces/${namespace}/configmaps/${name}`,
  });
  return answer.body.data?.value;
}

async function failureOf(call: Promise<unknown>): Promise<KubeError> {
  const failure = await call.catch((error: unknown) => error);
  if (failure instanceof KubeError) return failure;
  throw new Error(`Cannot go on: no KubeError (${JSON.stringify(failure)})`);
}

describe('without faults', () => {
  test('an object is made, read, replaced, patched and deleted, each in one request', async () => {
    const client = await faulty();
    const made = await make(client, 'one');
    const { name } = made.metadata;
    expect((await client.get<ConfigMap>(MAPS, name, { namespace })).data).toEqual({ value: 'one' });
    const replaced = await client.replace(MAPS, { ...made, data: { value: 'two' } }, { namespace });
    expect(replaced.data).toEqual({ value: 'two' });
    const patched = await client.patch<ConfigMap>(MAPS, name, { data: { more: 'x' } }, { namespace });
    expect(patched.data).toEqual({ value: 'two', more: 'x' });
    const { uid, resourceVersion } = patched.metadata;
    const options = { namespace, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    expect(await client.delete(MAPS, name, options)).toBe('deleted');
    expect(await client.delete(MAPS, name, options)).toBe('gone');
    expect(proxy.requests.map(({ method }) => method)).toEqual([
      'POST',
      'GET',
      'PUT',
      'PATCH',
      'DELETE',
      'DELETE',
    ]);
  });

  test('another version of an object can be neither replaced, nor patched, nor deleted', async () => {
    const client = await faulty();
    const made = await make(client, 'one');
    const { name } = made.metadata;
    const newer = await client.patch(MAPS, name, { data: { value: 'two' } }, { namespace });
    const uid = newer.metadata.uid ?? '';
    const old = { namespace, resourceVersion: made.metadata.resourceVersion ?? '' };
    const patch = { data: { value: 'three' } };
    for (const call of [
      () => client.replace(MAPS, { ...made, data: { value: 'three' } }, { namespace }),
      () => client.patch(MAPS, name, patch, old),
      () => client.patch(MAPS, name, patch, { namespace, uid: 'another' }),
      () => client.delete(MAPS, name, { ...old, uid }),
    ])
      expect(await failureOf(call())).toMatchObject({ reason: 'Conflict', code: 'api', maybeDone: false });
    expect(await client.delete(MAPS, name, { namespace, uid: '00000000-0000-0000-0000-000000000000' })).toBe(
      'gone',
    );
    expect(await storedValue(name)).toBe('two');
  });

  test('a name that is taken is told at once, without reading', async () => {
    const client = await faulty();
    const { name } = (await make(client, 'one')).metadata;
    const error = await failureOf(make(client, 'two', name));
    expect(error).toMatchObject({ reason: 'AlreadyExists', status: 409 });
    expect(error.message).toContain('already exists');
    expect(proxy.requests.map(({ method }) => method)).toEqual(['POST', 'POST']);
  });

  test('a list comes in pages, whole, or as metadata alone', async () => {
    const client = await faulty();
    const labels = { test: randomBytes(4).toString('hex') };
    for (let i = 0; i < 7; i++)
      await client.create(MAPS, { ...map('x'), metadata: { ...map('x').metadata, labels } }, ours('x'));
    const wanted = { namespace, labelSelector: `test=${labels.test}` };
    proxy.requests.length = 0;
    const paged = await client.list<ConfigMap>(MAPS, { ...wanted, pageSize: 3 });
    expect(proxy.requests).toHaveLength(3);
    const whole = await client.list<ConfigMap>(MAPS, { ...wanted, resourceVersion: '0' });
    const metadata = await client.list<ConfigMap>(MAPS, { ...wanted, metadataOnly: true });
    const namesOf = ({ items }: typeof paged) => items.map((item) => item.metadata.name).sort();
    expect(new Set(namesOf(paged)).size).toBe(7);
    expect(namesOf(whole)).toEqual(namesOf(paged));
    expect(namesOf(metadata)).toEqual(namesOf(paged));
    expect(metadata.items.map(({ data }) => data)).toEqual(Array(7).fill(undefined));
    expect(paged.items.map(({ data }) => data)).toEqual(Array(7).fill({ value: 'x' }));
  });

  test('the clock is that of the API server', async () => {
    const client = await faulty();
    await client.get(MAPS, 'kube-root-ca.crt', { namespace }).catch(() => undefined);
    expect(Math.abs(client.now() - Date.now())).toBeLessThan(2000);
  });

  test('a definition of the context is found at its first call, and again where it was not there', async () => {
    const later = `${cluster.kubeconfig()}-later`;
    const client = openKubeClient(later);
    open.push(client);
    expect((await failureOf(client.list(MAPS, { namespace }))).reason).toBe('Credentials');
    writeFileSync(
      later,
      JSON.stringify({
        'current-context': 'a',
        contexts: [{ name: 'a', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: cluster.url, 'certificate-authority': cluster.caFile } }],
        users: [{ name: 'u', user: { token: cluster.adminToken } }],
      }),
    );
    expect((await client.list(PODS, { namespace })).items).toEqual([]);
  });
});

describe('an answer that is lost after the write', () => {
  test.each(['lose-answer', 'cut-body'] as const)(
    'create (%s): one object, returned as made',
    async (kind) => {
      const client = await faulty();
      proxy.inject({ method: 'POST', nth: 1, fault: { kind } });
      const made = await make(client, 'one');
      expect(made.metadata.uid).toBeTruthy();
      expect(proxy.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
    },
  );

  test("create: another's object of that name is not taken for ours", async () => {
    const client = await faulty();
    const { name } = (await make(client, 'theirs')).metadata;
    proxy.inject({ method: 'POST', nth: 1, fault: { kind: 'lose-answer' } });
    expect(await failureOf(make(client, 'mine', name))).toMatchObject({
      reason: 'AlreadyExists',
      maybeDone: false,
    });
    expect(await storedValue(name)).toBe('theirs');
  });

  test('replace: done once', async () => {
    const client = await faulty();
    const made = await make(client, 'one');
    proxy.inject({ method: 'PUT', nth: 1, fault: { kind: 'lose-answer' } });
    const replaced = await client.replace(MAPS, { ...made, data: { value: 'two' } }, { namespace });
    expect(replaced.metadata.resourceVersion).not.toBe(made.metadata.resourceVersion);
    expect(await storedValue(made.metadata.name)).toBe('two');
    expect(proxy.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });

  test('patch of one version: done once', async () => {
    const client = await faulty();
    const made = await make(client, 'one');
    proxy.inject({ method: 'PATCH', nth: 1, fault: { kind: 'lose-answer' } });
    const options = { namespace, resourceVersion: made.metadata.resourceVersion ?? '' };
    await client.patch(MAPS, made.metadata.name, { data: { value: 'two' } }, options);
    expect(await storedValue(made.metadata.name)).toBe('two');
    expect(proxy.requests.filter(({ method }) => method === 'PATCH')).toHaveLength(1);
  });

  test('delete: deleted, and what has its name since then is left alone', async () => {
    const client = await faulty();
    const made = await make(client, 'one');
    const { name, uid, resourceVersion } = made.metadata;
    proxy.inject({ method: 'DELETE', nth: 1, fault: { kind: 'lose-answer' } });
    const options = { namespace, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    const [answer] = await Promise.all([client.delete(MAPS, name, options), makeAgain(name)]);
    expect(answer).toBe('deleted');
    expect(await storedValue(name)).toBe('another');
  });

  /** As soon as the name is free. */
  async function makeAgain(name: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    while ((await cluster.request({ method: 'POST', path, body: map('another', name) })).status === 409);
  }

  test('and that cannot be read either is told as perhaps done, and is ours when it is asked for again', async () => {
    const client = await faulty({ timeoutMs: 1500 });
    const name = map('one').metadata.name;
    proxy.inject({ method: 'POST', nth: 1, fault: { kind: 'lose-answer', afterwards: 'refuse' } });
    const error = await failureOf(make(client, 'one', name));
    expect(error).toMatchObject({ reason: 'Unreachable', code: 'try-later', maybeDone: true });
    expect(error.message).toMatch(/^Cannot create configmaps .*its answer was lost/);
    await proxy.clear();
    expect((await failureOf(make(client, 'one', name))).reason).toBe('AlreadyExists');
    expect(await storedValue(name)).toBe('one');
  });
});

describe('a fault before the write', () => {
  test.each([
    ['429', { kind: 'answer', status: 429 }],
    ['429 with Retry-After', { kind: 'answer', status: 429, retryAfterSeconds: 1 }],
    ['500', { kind: 'answer', status: 500 }],
    ['503', { kind: 'answer', status: 503 }],
    ['504', { kind: 'answer', status: 504 }],
    ['a reset', { kind: 'drop' }],
  ] as [string, Fault][])('%s, twice: the object is made all the same', async (_, fault) => {
    const client = await faulty();
    proxy.inject({ method: 'POST', times: 2, fault });
    const { name } = (await make(client, 'one')).metadata;
    expect(await storedValue(name)).toBe('one');
  });

  test('403 is final, and the real one names user and right', async () => {
    const client = await clientOf(cluster.kubeconfig(cluster.addUser('nobody-special')));
    const error = await failureOf(make(client, 'one'));
    expect(error).toMatchObject({ reason: 'Forbidden', code: 'api', status: 403, maybeDone: false });
    expect(error.message).toContain('User "nobody-special" cannot create resource "configmaps"');
    expect(error.hint).toContain('"create" on configmaps');
  });
});

describe('an API server that does not answer', () => {
  test('a slow one: the write is told as perhaps done when the time is over', async () => {
    const client = await faulty({ timeoutMs: 1500 });
    proxy.inject({ fault: { kind: 'delay', afterMs: 10_000 } });
    const name = map('one').metadata.name;
    const error = await failureOf(make(client, 'one', name));
    expect(error).toMatchObject({ reason: 'Timeout', code: 'try-later', maybeDone: true });
    expect(await storedValue(name)).toBe('one');
  });

  test('one that hangs once: another connection brings the answer within the same call', async () => {
    const client = await faulty({ timeoutMs: 4000 });
    proxy.inject({ method: 'GET', nth: 1, fault: { kind: 'hang' } });
    const list = await client.list(PODS, { namespace });
    expect(list.items).toEqual([]);
    expect(proxy.requests).toHaveLength(2);
  });

  test('a port that is closed, and a host that is a black hole', async () => {
    const client = await faulty({ timeoutMs: 1000, connectMs: 300 });
    await client.list(PODS, { namespace });
    for (const mode of ['refuse', 'black-hole'] as const) {
      await proxy.setMode(mode);
      const error = await failureOf(client.list(PODS, { namespace }));
      expect(error.code).toBe('try-later');
      expect(error.message).toContain(proxy.url);
      expect(error.hint).toContain('context test');
    }
    await proxy.setMode('open');
    expect((await client.list(PODS, { namespace })).items).toEqual([]);
  });

  test('an answer that breaks off is asked for again', async () => {
    const client = await faulty();
    const { name } = (await make(client, 'one')).metadata;
    proxy.inject({ method: 'GET', times: 2, fault: { kind: 'cut-body' } });
    expect((await client.get<ConfigMap>(MAPS, name, { namespace })).data?.value).toBe('one');
    expect((await client.list(MAPS, { namespace })).items.length).toBeGreaterThan(0);
  });
});

describe('credentials', () => {
  test('a client certificate', async () => {
    const client = await clientOf(cluster.kubeconfig(cluster.addUser('boss', ['system:masters'])));
    expect((await client.list(PODS, { namespace })).items).toEqual([]);
  });

  test('a token that has ended is told with its file; the one that replaces it is used', async () => {
    const good = await serviceAccountToken(cluster, { namespace, serviceAccount: 'default' });
    const tokenFile = cluster.tokenFile(expiredToken(cluster, good));
    const client = await clientOf(cluster.kubeconfig({ tokenFile }));
    const ended = await failureOf(client.list(PODS, { namespace }));
    expect(ended).toMatchObject({ reason: 'Unauthorized', code: 'try-later', status: 401 });
    expect(ended.hint).toContain(tokenFile);
    expect(`${ended.message} ${ended.hint}`).not.toContain(good.split('.')[0]);
    writeFileSync(tokenFile, good);
    // The token is good: what is missing now is a right.
    expect((await failureOf(client.list(PODS, { namespace }))).reason).toBe('Forbidden');
  });

  test('the authority of another cluster', async () => {
    const stranger = createAuthority('stranger');
    await using other = await FaultProxy.start(
      cluster,
      stranger.issue({ commonName: 'x', addresses: ['127.0.0.1'] }),
    );
    const error = await failureOf((await clientOf(other.kubeconfig())).list(PODS, { namespace }));
    expect(error).toMatchObject({ reason: 'Unreachable', code: 'try-later' });
    expect(error.hint).toContain('is of another cluster');
    expect(other.requests).toEqual([]);
  });
});

describe('watches', () => {
  test('lose nothing and repeat nothing over connections that are cut in a line, reset or closed', async () => {
    const client = await faulty({ retry: { firstMs: 5, mostMs: 20 } });
    const { resourceVersion } = await client.list(MAPS, { namespace });
    const watchPath = /watch=1/;
    proxy.inject({ path: watchPath, nth: 1, fault: { kind: 'cut-watch', lines: 2, end: 'reset' } });
    proxy.inject({ path: watchPath, nth: 2, fault: { kind: 'cut-watch', lines: 1, end: 'finish' } });
    proxy.inject({ path: watchPath, nth: 3, fault: { kind: 'cut-watch', lines: 0, end: 'reset' } });
    const names = Array.from({ length: 12 }, () => map('x').metadata.name);
    const controller = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of client.watch<ConfigMap>(MAPS, {
        namespace,
        resourceVersion,
        signal: controller.signal,
      })) {
        if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${event.object.metadata.name}`);
        if (seen.length === names.length) controller.abort();
      }
    })();
    for (const name of names) await make(client, 'x', name);
    await watching;
    expect(seen).toEqual(names.map((name) => `ADDED ${name}`));
    expect(proxy.requests.filter(({ query }) => query.has('watch')).length).toBeGreaterThan(3);
  });
});

test('a resource without a definition is told from an object that is not there', async () => {
  const client = await clientOf(cluster.kubeconfig());
  const place = { namespace };
  await expect(client.get(MAPS, 'gone', place)).rejects.toMatchObject({ isResourceUnknown: false });
  for (const group of ['nowhere.example', 'apps'])
    await expect(client.get({ ...MAPS, group, plural: 'things' }, 'gone', place)).rejects.toMatchObject({
      ...{ reason: 'NotFound', isResourceUnknown: true },
      hint: expect.stringContaining('definition is missing'),
    });
});
