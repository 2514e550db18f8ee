// What the fault proxy does to a request, seen by a client that does not retry.
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { run } from '../kit/build-cache.ts';
import { createAuthority } from '../kit/certificate.ts';
import { type ApiRequest, apiRequest } from '../kit/control-plane/api-request.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';

let cluster: Cluster;
let proxy: FaultProxy;

beforeAll(async () => {
  cluster = await sharedCluster();
  proxy = await FaultProxy.start(cluster);
});
afterEach(() => proxy.clear());
afterAll(() => proxy?.close());

/** "201", or the code of the error. */
async function outcome(method: string, path: string, name?: string): Promise<string> {
  const credential = { token: cluster.adminToken };
  const body = name === undefined ? {} : { body: { metadata: { name } } };
  const asked: ApiRequest = { method, path, credential, ...body };
  try {
    return `${(await apiRequest(proxy.url, cluster.authority.certificate, asked)).status}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${error.code}`;
    throw error;
  }
}

const exists = async (name: string): Promise<boolean> =>
  (await cluster.request({ method: 'GET', path: `${MAPS}/${name}` })).status === 200;

test('without a rule everything passes and is recorded', async () => {
  expect(await outcome('POST', MAPS, 'plain')).toBe('201');
  expect(await outcome('GET', `${MAPS}?limit=1`)).toBe('200');
  expect(await outcome('DELETE', `${MAPS}/plain`, 'ignored')).toBe('200');

  expect(proxy.requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
    'POST 201',
    'GET 200',
    'DELETE 200',
  ]);
  const [post, list] = proxy.requests;
  expect(post?.body).toBe('{"metadata":{"name":"plain"}}');
  expect(list?.query.get('limit')).toBe('1');
  expect(list?.bytes).toBeGreaterThan(100);
});

test('a client certificate and a token are their users at the API server', async () => {
  const user = cluster.addUser('jane', ['readers', 'writers']);
  const argv = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'];
  const whoami = (file: string): Promise<string> =>
    run(cluster.place.kubectlPath, [...argv, '--kubeconfig', file], '/');

  expect(await whoami(proxy.kubeconfig(user))).toBe('jane ["readers","writers","system:authenticated"]');
  expect(await whoami(proxy.kubeconfig())).toContain('admin ["system:masters"');
});

test('a dropped request never reaches the API server; one whose answer is lost was carried out', async () => {
  proxy.inject({ method: 'POST', nth: 1, fault: { kind: 'drop' } });
  proxy.inject({ method: 'POST', nth: 2, fault: { kind: 'lose-answer' } });

  expect(await outcome('POST', MAPS, 'dropped')).toBe('ECONNRESET');
  expect(await outcome('POST', MAPS, 'lost')).toBe('ECONNRESET');
  expect(await outcome('POST', MAPS, 'third')).toBe('201');
  expect([await exists('dropped'), await exists('lost')]).toEqual([false, true]);
  expect(proxy.requests.map(({ serverStatus, status }) => [serverStatus, status])).toEqual([
    [undefined, undefined],
    [201, undefined],
    [201, 201],
  ]);
});

test.each([429, 500, 503, 403])('an answer of %i is a Status', async (status) => {
  proxy.inject({ path: /configmaps/, times: 1, fault: { kind: 'answer', status, retryAfterSeconds: 7 } });
  const { promise, resolve, reject } =
    Promise.withResolvers<[number | undefined, string | undefined, string]>();
  request(`${proxy.url}${MAPS}`, { ca: cluster.authority.certificate }, (answer) => {
    answer.setEncoding('utf8').once('data', (text) => {
      resolve([answer.statusCode, answer.headers['retry-after'], text]);
    });
  })
    .once('error', reject)
    .end();
  const [code, retryAfter, text] = await promise;

  expect([code, retryAfter]).toEqual([status, '7']);
  expect(JSON.parse(text)).toMatchObject({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code: status,
  });
  expect(await outcome('GET', MAPS)).toBe('200');
});

test('a delay holds the request up, before or after it is carried out', async () => {
  proxy.inject({ nth: 1, fault: { kind: 'delay', beforeMs: 300 } });
  proxy.inject({ nth: 2, fault: { kind: 'delay', afterMs: 300 } });
  const before = outcome('POST', MAPS, 'before');
  while (proxy.requests.length < 1) await sleep(5);
  const after = outcome('POST', MAPS, 'after');
  while (!(await exists('after'))) await sleep(5);
  expect(await exists('before')).toBe(false);
  expect(proxy.requests[1]?.status).toBeUndefined();

  expect([await before, await after]).toEqual(['201', '201']);
});

test('a hanging request is neither forwarded nor answered', async () => {
  proxy.inject({ times: 1, fault: { kind: 'hang' } });
  const hanging = outcome('POST', MAPS, 'hanging');

  expect(await Promise.race([hanging, sleep(300, 'nothing yet')])).toBe('nothing yet');
  expect(await exists('hanging')).toBe(false);
  await proxy.setMode('refuse');
  expect(await hanging).toBe('ECONNRESET');
});

test('a body is cut in the middle by a reset', async () => {
  proxy.inject({ times: 1, fault: { kind: 'cut-body' } });

  expect(await outcome('GET', '/api/v1')).toBe('ECONNRESET');
  expect(proxy.requests[0]?.status).toBe(200);
  expect(proxy.requests[0]?.bytes).toBeGreaterThan(1000);
});

test.each(['finish', 'reset'] as const)('a watch is cut within a line: %s', async (end) => {
  proxy.inject({ path: /watch=1/, times: 1, fault: { kind: 'cut-watch', lines: 1, end } });
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const path = '/api/v1/namespaces?watch=1';
  const headers = { authorization: `Bearer ${cluster.adminToken}` };
  request(`${proxy.url}${path}`, { ca: cluster.authority.certificate, headers }, (answer) => {
    answer.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    answer.once('end', () => resolve('finish'));
    answer.once('error', (error) => resolve(error.message));
  })
    .once('error', (error) => resolve(error.message))
    .end();
  const ended = await promise;
  const [first = '', second = '', ...more] = text.split('\n');

  expect(JSON.parse(first)).toMatchObject({ type: 'ADDED' });
  expect(second.startsWith('{"type":"ADDED"')).toBe(true);
  expect(() => JSON.parse(second)).toThrow('JSON');
  expect([ended, more]).toEqual([end === 'reset' ? 'read ECONNRESET' : end, []]);
});

test('the whole server refuses, or is a black hole, from after a request on', async () => {
  proxy.inject({ nth: 1, fault: { kind: 'pass', afterwards: 'refuse' } });
  expect(await outcome('GET', MAPS)).toBe('200');
  await expect.poll(() => outcome('GET', MAPS)).toBe('ECONNREFUSED');
  expect(proxy.requests).toHaveLength(1);

  await proxy.setMode('black-hole');
  const swallowed = outcome('GET', MAPS);
  expect(await Promise.race([swallowed, sleep(300, 'nothing yet')])).toBe('nothing yet');
  await proxy.setMode('open');
  expect(await swallowed).toBe('ECONNRESET');
  expect(await outcome('GET', MAPS)).toBe('200');
});

test('a proxy may show any certificate', async () => {
  const day = 86_400_000;
  const stranger = createAuthority('stranger').issue({ commonName: 'x', addresses: ['127.0.0.1'] });
  const past = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) };
  const expired = cluster.authority.issue({ commonName: 'x', addresses: ['127.0.0.1'], ...past });
  const otherName = cluster.authority.issue({ commonName: 'x', dnsNames: ['api.cluster.test'] });
  const codes: string[] = [];
  for (const certificate of [stranger, expired, otherName]) {
    await using other = await FaultProxy.start(cluster, certificate);
    const asked = apiRequest(other.url, cluster.authority.certificate, { method: 'GET', path: '/api' });
    codes.push(await asked.then(String, (error: NodeJS.ErrnoException) => `${error.code}`));
  }

  expect(codes).toEqual([
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ]);
});
