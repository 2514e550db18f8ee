import { afterEach, describe, expect, test } from 'vitest';
import { json, refuse, reset, ScriptedHttp, type Step, silence } from '../../test/kit/scripted-http.ts';
import { createKubeClient, type KubeClientOptions } from './create-kube-client.ts';
import type { KubeAccess } from './kube-access.ts';
import type { KubeClient, KubeObject, KubeResource } from './kube-client.ts';
import { KubeError } from './kube-error.ts';

const LEASES: KubeResource = {
  group: 'ipam.manifold.dev',
  version: 'v1',
  plural: 'ipleases',
  kind: 'IPLease',
  namespaced: false,
};
const PODS: KubeResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const PATH = '/apis/ipam.manifold.dev/v1/ipleases';

interface Thing extends KubeObject {
  readonly spec?: unknown;
}
const thing = (spec: unknown, resourceVersion = '7'): Thing => ({
  metadata: { name: 'a', resourceVersion, uid: 'u1' },
  spec,
});

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function accessTo(url: string, more: Partial<KubeAccess> = {}): KubeAccess {
  return {
    server: url,
    source: 'a test',
    namespace: undefined,
    user: 'tester',
    origins: { token: '/run/token' },
    tls: () => ({ insecure: false }),
    token: () => 'secret-token',
    renewToken: () => false,
    ...more,
  };
}

function clientOf(url: string, options: KubeClientOptions = {}, more: Partial<KubeAccess> = {}): KubeClient {
  const client = createKubeClient(accessTo(url, more), {
    timeoutMs: 2000,
    retry: { firstMs: 5, mostMs: 20 },
    ...options,
  });
  open.push(client);
  return client;
}

async function failureOf(call: Promise<unknown>): Promise<KubeError> {
  const failure = await call.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );
  if (failure instanceof KubeError) return failure;
  throw new Error(`Cannot go on: no KubeError (${JSON.stringify(failure)})`);
}

describe('what is sent', () => {
  test('a read names the object by group, version and namespace, and shows the token', async () => {
    await using server = await ScriptedHttp.start([json(200, thing(1))]);
    const client = clientOf(server.url);
    await client.get(LEASES, 'a');
    await client.get(PODS, 'web-0', { namespace: 'shop' });
    expect(server.asked).toEqual([`GET ${PATH}/a`, 'GET /api/v1/namespaces/shop/pods/web-0']);
    expect(server.seen[0]?.headers.authorization).toBe('Bearer secret-token');
    expect(server.connections).toBe(1);
  });

  test('a name that would be another path is refused before anything is sent', async () => {
    await using server = await ScriptedHttp.start([json(200, thing(1))]);
    const client = clientOf(server.url);
    for (const name of ['../pods', 'a/b', '', '..', 'a?b'])
      expect((await failureOf(client.get(LEASES, name))).reason).toBe('BadRequest');
    expect(server.seen).toEqual([]);
  });

  test('a delete carries both preconditions', async () => {
    await using server = await ScriptedHttp.start([json(200, { kind: 'Status', status: 'Success' })]);
    const answer = await clientOf(server.url).delete(LEASES, 'a', { uid: 'u1', resourceVersion: '7' });
    expect(answer).toBe('deleted');
    expect(JSON.parse(server.seen[0]?.body ?? '')).toEqual({
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: 'u1', resourceVersion: '7' },
    });
  });

  test('a patch carries its preconditions beside what it sets in metadata', async () => {
    await using server = await ScriptedHttp.start([json(200, thing(1))]);
    const patch = { metadata: { labels: { a: 'b' } }, status: { used: 3 } };
    const options = { resourceVersion: '7', subresource: 'status' };
    await clientOf(server.url).patch(LEASES, 'a', patch, options);
    expect(server.asked).toEqual([`PATCH ${PATH}/a/status`]);
    expect(server.seen[0]?.headers['content-type']).toBe('application/merge-patch+json');
    expect(JSON.parse(server.seen[0]?.body ?? '')).toEqual({
      metadata: { labels: { a: 'b' }, resourceVersion: '7' },
      status: { used: 3 },
    });
  });

  test('calls at once share a few connections', async () => {
    const later: Step = (answer, seen) => void setTimeout(() => json(200, thing(1))(answer, seen), 20);
    await using server = await ScriptedHttp.start([later]);
    const client = clientOf(server.url, { connections: 3 });
    await Promise.all(Array.from({ length: 9 }, () => client.get(LEASES, 'a')));
    expect(server.connections).toBe(3);
  });
});

describe('lists', () => {
  const page = (names: readonly string[], next?: string) =>
    json(200, {
      metadata: { resourceVersion: '9', ...(next && { continue: next }) },
      items: names.map((name) => ({ metadata: { name } })),
    });

  test('are taken page by page', async () => {
    await using server = await ScriptedHttp.start([page(['a', 'b'], 'more'), page(['c'])]);
    const list = await clientOf(server.url).list(LEASES, { pageSize: 2, labelSelector: 'x=y' });
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect(list.resourceVersion).toBe('9');
    expect(server.asked).toEqual([
      `GET ${PATH}?labelSelector=x%3Dy&limit=2`,
      `GET ${PATH}?labelSelector=x%3Dy&continue=more&limit=2`,
    ]);
  });

  test('of one resourceVersion name it on their first page alone: the token holds it', async () => {
    await using server = await ScriptedHttp.start([page(['a'], 'more'), page(['b'])]);
    await clientOf(server.url).list(LEASES, { resourceVersion: '5', pageSize: 1 });
    expect(server.asked).toEqual([
      `GET ${PATH}?resourceVersion=5&limit=1`,
      `GET ${PATH}?continue=more&limit=1`,
    ]);
  });

  test('from the memory of the API server have no pages', async () => {
    await using server = await ScriptedHttp.start([page([])]);
    await clientOf(server.url).list(LEASES, { resourceVersion: '0', metadataOnly: true });
    expect(server.asked).toEqual([`GET ${PATH}?resourceVersion=0`]);
    expect(server.seen[0]?.headers.accept).toContain('as=PartialObjectMetadataList');
  });

  test('that expire on their way are begun again, nothing is there twice', async () => {
    const script = [page(['a', 'b'], 'old'), refuse(410, 'Expired'), page(['b', 'c'], 'new'), page(['d'])];
    await using server = await ScriptedHttp.start(script);
    const list = await clientOf(server.url).list(LEASES, { pageSize: 2 });
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(['b', 'c', 'd']);
  });

  test('that expire again and again are taken whole', async () => {
    const expires = [page(['a'], 'old'), refuse(410, 'Expired')];
    await using server = await ScriptedHttp.start([...expires, ...expires, page(['a', 'b'])]);
    const list = await clientOf(server.url).list(LEASES, { pageSize: 1 });
    expect(list.items).toHaveLength(2);
    expect(server.asked.at(-1)).toBe(`GET ${PATH}`);
  });

  test('of all namespaces have none in their path', async () => {
    await using server = await ScriptedHttp.start([json(200, { metadata: {}, items: null })]);
    expect((await clientOf(server.url).list(PODS)).items).toEqual([]);
    expect(server.asked).toEqual(['GET /api/v1/pods?limit=500']);
  });
});

describe('what is asked again', () => {
  test.each([
    ['429', refuse(429, 'TooManyRequests')],
    ['500', refuse(500, 'InternalError')],
    ['502 of a load balancer', json(502, 'Bad Gateway')],
    ['503', refuse(503, 'ServiceUnavailable')],
    ['504', refuse(504, 'Timeout')],
    ['a reset connection', reset],
    ['an answer that is no JSON', (answer) => void answer.end('<html>welcome</html>')],
    [
      'an answer that breaks off',
      (answer) => {
        answer.writeHead(200, { 'content-length': '100' });
        answer.write('{"metadata"', () => answer.socket?.resetAndDestroy());
      },
    ],
  ] as [string, Step][])('a read after %s', async (_, fault) => {
    await using server = await ScriptedHttp.start([fault, fault, json(200, thing('there'))]);
    expect(await clientOf(server.url).get<Thing>(LEASES, 'a')).toMatchObject({ spec: 'there' });
    expect(server.seen).toHaveLength(3);
  });

  test.each([
    [400, 'BadRequest', 'api'],
    [401, 'Unauthorized', 'try-later'],
    [403, 'Forbidden', 'api'],
    [404, 'NotFound', 'api'],
    [409, 'Conflict', 'api'],
    [410, 'Expired', 'api'],
    [422, 'Invalid', 'api'],
    [418, 'Other', 'api'],
  ])('not after %i, which is %s', async (status, reason, code) => {
    await using server = await ScriptedHttp.start([refuse(status, reason === 'Other' ? 'Teapot' : reason)]);
    const error = await failureOf(clientOf(server.url).get(LEASES, 'a'));
    expect(error).toMatchObject({ reason, code, status, maybeDone: false });
    expect(error.message).toContain('Cannot get ipleases.ipam.manifold.dev a: ');
    expect(server.seen).toHaveLength(1);
  });

  test('not before the time that Retry-After names', async () => {
    await using server = await ScriptedHttp.start([
      refuse(429, 'TooManyRequests', { 'retry-after': '1' }),
      json(200, thing(1)),
    ]);
    await clientOf(server.url, { timeoutMs: 5000 }).get(LEASES, 'a');
    const [first, second] = server.seen;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(900);
  });

  test('not at all when Retry-After names a time after the deadline: the caller hears of it at once', async () => {
    await using server = await ScriptedHttp.start([refuse(429, 'TooManyRequests', { 'retry-after': '60' })]);
    const error = await failureOf(clientOf(server.url, { timeoutMs: 30_000 }).get(LEASES, 'a'));
    expect(error).toMatchObject({ reason: 'TooManyRequests', code: 'try-later', status: 429 });
    expect(error.message).toContain('still so after');
  });

  test('with another token when the file holds one after a 401', async () => {
    await using server = await ScriptedHttp.start([refuse(401, 'Unauthorized'), json(200, thing(1))]);
    let token = 'old';
    const renewToken = () => {
      token = 'new';
      return true;
    };
    await clientOf(server.url, {}, { token: () => token, renewToken }).get(LEASES, 'a');
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new']);
  });
});

describe('the end of a call', () => {
  test('without any connection says so, and what to do', async () => {
    let url = '';
    {
      await using server = await ScriptedHttp.start([silence]);
      url = server.url;
    }
    const error = await failureOf(
      clientOf(url, { timeoutMs: 300 }).create(LEASES, thing(1), { isOurs: () => true }),
    );
    expect(error).toMatchObject({ reason: 'Unreachable', code: 'try-later', maybeDone: false });
    expect(error.message).toMatch(
      /^Cannot create ipleases\.ipam\.manifold\.dev a: no answer from the API server after /,
    );
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.hint).toContain('comes from a test');
  });

  test('without an answer to a write leaves open whether it was done', async () => {
    await using server = await ScriptedHttp.start([silence]);
    const client = clientOf(server.url, { timeoutMs: 1200 });
    const error = await failureOf(client.create(LEASES, thing(1), { isOurs: () => true }));
    expect(error).toMatchObject({ reason: 'Timeout', code: 'try-later', maybeDone: true });
    expect(error.message).toMatch(/^Cannot create /);
  });

  test('without an answer to a read leaves nothing open', async () => {
    await using server = await ScriptedHttp.start([silence]);
    const error = await failureOf(clientOf(server.url, { timeoutMs: 1200 }).get(LEASES, 'a'));
    expect(error).toMatchObject({ reason: 'Timeout', maybeDone: false });
  });

  test('in the middle of an attempt is told with what the attempt before it said', async () => {
    await using server = await ScriptedHttp.start([refuse(500, 'InternalError'), silence]);
    const error = await failureOf(clientOf(server.url, { timeoutMs: 500 }).get(LEASES, 'a'));
    expect(error).toMatchObject({ reason: 'ServerError', status: 500 });
    expect(error.message).toContain('the server says InternalError');
  });

  test('comes with the signal of the caller, at once', async () => {
    await using server = await ScriptedHttp.start([silence]);
    const signal = AbortSignal.timeout(50);
    const error = await failureOf(clientOf(server.url, { timeoutMs: 60_000 }).get(LEASES, 'a', { signal }));
    expect(error.reason).toBe('Timeout');
  });

  test('comes before anything is sent when the signal has ended already', async () => {
    await using server = await ScriptedHttp.start([json(200, thing(1))]);
    const error = await failureOf(clientOf(server.url).get(LEASES, 'a', { signal: AbortSignal.abort() }));
    expect(error.code).toBe('try-later');
    expect(server.seen).toEqual([]);
  });

  test('comes sooner when the call names a shorter time', async () => {
    await using server = await ScriptedHttp.start([silence]);
    const call = clientOf(server.url, { timeoutMs: 60_000 }).get(LEASES, 'a', { timeoutMs: 100 });
    expect((await failureOf(call)).reason).toBe('Timeout');
  });
});

describe('a write whose answer was lost', () => {
  const create = (client: KubeClient, spec: unknown) =>
    client.create<Thing>(LEASES, thing(spec), { isOurs: (found) => found.spec === spec });

  test.each([
    ['reset', reset],
    ['500', refuse(500, 'InternalError')],
    ['504', refuse(504, 'Timeout')],
  ] as [string, Step][])('create, %s: done when the object there is ours', async (_, lost) => {
    await using server = await ScriptedHttp.start([lost, json(200, thing('mine'))]);
    expect(await create(clientOf(server.url), 'mine')).toMatchObject({ spec: 'mine' });
    expect(server.asked).toEqual([`POST ${PATH}`, `GET ${PATH}/a`]);
  });

  test('create on a kept connection that breaks: it may have arrived, and is read before it is sent again', async () => {
    await using server = await ScriptedHttp.start([json(200, thing(1)), reset, json(200, thing('mine'))]);
    const client = clientOf(server.url);
    await client.get(LEASES, 'a');
    expect(await create(client, 'mine')).toMatchObject({ spec: 'mine' });
    expect(server.asked).toEqual([`GET ${PATH}/a`, `POST ${PATH}`, `GET ${PATH}/a`]);
  });

  test("create: AlreadyExists when the object there is another's", async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing('theirs'))]);
    const error = await failureOf(create(clientOf(server.url), 'mine'));
    expect(error).toMatchObject({ reason: 'AlreadyExists', maybeDone: false });
  });

  test('create: sent again when there is none', async () => {
    const script = [reset, refuse(404, 'NotFound'), json(201, thing('mine'))];
    await using server = await ScriptedHttp.start(script);
    expect(await create(clientOf(server.url), 'mine')).toMatchObject({ spec: 'mine' });
    expect(server.asked).toEqual([`POST ${PATH}`, `GET ${PATH}/a`, `POST ${PATH}`]);
  });

  test('create: AlreadyExists of the second request may be the work of the first', async () => {
    const script = [reset, refuse(404, 'NotFound'), refuse(409, 'AlreadyExists'), json(200, thing('mine'))];
    await using server = await ScriptedHttp.start(script);
    expect(await create(clientOf(server.url), 'mine')).toMatchObject({ spec: 'mine' });
  });

  test('create: AlreadyExists of a first request is for the caller, without reading', async () => {
    await using server = await ScriptedHttp.start([refuse(409, 'AlreadyExists')]);
    expect((await failureOf(create(clientOf(server.url), 'mine'))).reason).toBe('AlreadyExists');
    expect(server.seen).toHaveLength(1);
  });

  test('create after a 429 is no repetition: AlreadyExists is for the caller', async () => {
    await using server = await ScriptedHttp.start([
      refuse(429, 'TooManyRequests'),
      refuse(409, 'AlreadyExists'),
      json(200, thing('mine')),
    ]);
    expect((await failureOf(create(clientOf(server.url), 'mine'))).reason).toBe('AlreadyExists');
  });

  test('create: what cannot be read is told as perhaps done, in the words of the write', async () => {
    await using server = await ScriptedHttp.start([reset, refuse(403, 'Forbidden')]);
    const error = await failureOf(create(clientOf(server.url), 'mine'));
    expect(error).toMatchObject({ reason: 'Forbidden', maybeDone: true });
    expect(error.message).toMatch(/^Cannot create .* its answer was lost/);
  });

  test('create: a refusal of the second request does not undo the first', async () => {
    await using server = await ScriptedHttp.start([reset, refuse(404, 'NotFound'), refuse(403, 'Forbidden')]);
    const error = await failureOf(create(clientOf(server.url), 'mine'));
    expect(error).toMatchObject({ reason: 'Forbidden', maybeDone: true });
  });

  test('replace: done when the object there is what was sent', async () => {
    const done = { ...thing('new', '8'), metadata: { ...thing('new', '8').metadata, generation: 2 } };
    await using server = await ScriptedHttp.start([reset, json(200, done)]);
    const answer = await clientOf(server.url).replace(LEASES, thing('new', '7'));
    expect(answer.metadata.resourceVersion).toBe('8');
  });

  test('replace: sent again while the old object is there', async () => {
    await using server = await ScriptedHttp.start([
      reset,
      json(200, thing('old', '7')),
      json(200, thing('new', '8')),
    ]);
    await clientOf(server.url).replace(LEASES, thing('new', '7'));
    expect(server.asked).toEqual([`PUT ${PATH}/a`, `GET ${PATH}/a`, `PUT ${PATH}/a`]);
  });

  test('replace: Conflict when another has written', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing('theirs', '9'))]);
    const error = await failureOf(clientOf(server.url).replace(LEASES, thing('new', '7')));
    expect(error).toMatchObject({ reason: 'Conflict', maybeDone: false });
  });

  test('replace: NotFound when it is gone', async () => {
    await using server = await ScriptedHttp.start([reset, refuse(404, 'NotFound')]);
    expect((await failureOf(clientOf(server.url).replace(LEASES, thing('new')))).reason).toBe('NotFound');
  });

  test('patch with a resourceVersion: done when what it sets is there', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, { ...thing({ a: 1, b: 2 }, '8') })]);
    const options = { resourceVersion: '7' };
    expect(await clientOf(server.url).patch(LEASES, 'a', { spec: { a: 1 } }, options)).toMatchObject({
      metadata: { resourceVersion: '8' },
    });
  });

  test('patch with a resourceVersion: Conflict when it is not', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing({ a: 9 }, '8'))]);
    const call = clientOf(server.url).patch(LEASES, 'a', { spec: { a: 1 } }, { resourceVersion: '7' });
    expect((await failureOf(call)).reason).toBe('Conflict');
  });

  test('patch without: sent again', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing({ a: 1 }))]);
    await clientOf(server.url).patch(LEASES, 'a', { spec: { a: 1 } });
    expect(server.asked).toEqual([`PATCH ${PATH}/a`, `PATCH ${PATH}/a`]);
  });

  test.each([
    ['is gone', refuse(404, 'NotFound'), 'deleted'],
    [
      'is another of that name',
      json(200, { metadata: { name: 'a', uid: 'u2', resourceVersion: '7' } }),
      'deleted',
    ],
    [
      'is about to go',
      json(200, { metadata: { name: 'a', uid: 'u1', resourceVersion: '8', deletionTimestamp: 'now' } }),
      'deleted',
    ],
  ] as [string, Step, string][])('delete: done when the object %s', async (_, found, answer) => {
    await using server = await ScriptedHttp.start([reset, found]);
    const options = { uid: 'u1', resourceVersion: '7' };
    expect(await clientOf(server.url).delete(LEASES, 'a', options)).toBe(answer);
    expect(server.seen).toHaveLength(2);
  });

  test('delete: sent again while it is there as it was', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing(1, '7')), json(200, {})]);
    const options = { uid: 'u1', resourceVersion: '7' };
    expect(await clientOf(server.url).delete(LEASES, 'a', options)).toBe('deleted');
    expect(server.asked.at(-1)).toBe(`DELETE ${PATH}/a`);
  });

  test('delete: Conflict when it has changed', async () => {
    await using server = await ScriptedHttp.start([reset, json(200, thing(1, '8'))]);
    const call = clientOf(server.url).delete(LEASES, 'a', { uid: 'u1', resourceVersion: '7' });
    expect((await failureOf(call)).reason).toBe('Conflict');
  });
});

describe('a delete that is refused', () => {
  test("is 'gone' when there is no such object", async () => {
    await using server = await ScriptedHttp.start([refuse(404, 'NotFound')]);
    expect(await clientOf(server.url).delete(LEASES, 'a')).toBe('gone');
  });

  test("is 'gone' when the one of that name has another UID", async () => {
    await using server = await ScriptedHttp.start([
      refuse(409, 'Conflict'),
      json(200, { metadata: { uid: 'u2' } }),
    ]);
    expect(await clientOf(server.url).delete(LEASES, 'a', { uid: 'u1' })).toBe('gone');
  });

  test('is a Conflict when the same one has changed', async () => {
    await using server = await ScriptedHttp.start([refuse(409, 'Conflict'), json(200, thing(1, '8'))]);
    const call = clientOf(server.url).delete(LEASES, 'a', { uid: 'u1', resourceVersion: '7' });
    expect((await failureOf(call)).reason).toBe('Conflict');
  });
});

describe('words', () => {
  test('a 403 names the right that is missing, and where it is given', async () => {
    const said = 'ipleases "a" is forbidden: User "u" cannot update resource "ipleases"';
    await using server = await ScriptedHttp.start([json(403, { kind: 'Status', message: said })]);
    const error = await failureOf(clientOf(server.url).replace(LEASES, thing(1)));
    expect(error.message).toContain(said);
    expect(error.hint).toMatch(/"update" on ipleases\.ipam\.manifold\.dev.*deploy\//);
  });

  test('a 401 names the file of the token and who renews it', async () => {
    await using server = await ScriptedHttp.start([refuse(401, 'Unauthorized')]);
    const error = await failureOf(clientOf(server.url).get(LEASES, 'a'));
    expect(error.hint).toContain('/run/token');
    expect(error.hint).toContain('kubelet');
  });

  test('the token is in no word of an error, though what answers shows the request', async () => {
    const echo: Step = (answer, { headers }) => {
      answer.writeHead(400);
      answer.end(`I do not like ${headers.authorization}`);
    };
    await using server = await ScriptedHttp.start([echo]);
    const error = await failureOf(clientOf(server.url).get(LEASES, 'a'));
    expect(error.message).toContain('I do not like');
    expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain('secret-token');
  });

  test('the time is that of the server, not of this machine', async () => {
    const date = new Date('2031-05-06T07:08:09Z');
    await using server = await ScriptedHttp.start([json(200, thing(1), { date: date.toUTCString() })]);
    const client = clientOf(server.url);
    expect(Math.abs(client.now() - Date.now())).toBeLessThan(60_000);
    await client.get(LEASES, 'a');
    expect(Math.abs(client.now() - date.getTime() - 500)).toBeLessThan(10_000);
  });
});
