import { afterEach, expect, test } from 'vitest';
import { createAuthority } from '../../test/kit/certificate.ts';
import { json, ScriptedHttp, type Step, silence } from '../../test/kit/scripted-http.ts';
import { createLogger } from '../log/logger.ts';
import { createKubeClient, type KubeClientOptions } from './create-kube-client.ts';
import type { KubeAccess, TlsMaterial } from './kube-access.ts';
import type { KubeClient, KubeResource } from './kube-client.ts';
import { KubeError } from './kube-error.ts';

const PODS: KubeResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const PLACE = { namespace: 'n' };
const good = json(200, { metadata: { name: 'a' } });

const authority = createAuthority('cluster-ca');
const stranger = createAuthority('another-ca');
const forHere = { commonName: 'api', dnsNames: ['kubernetes.default'], addresses: ['127.0.0.1'] };
const HOUR_MS = 3_600_000;

const open: KubeClient[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function clientOf(url: string, tls: Partial<TlsMaterial>, options: KubeClientOptions = {}): KubeClient {
  const material: TlsMaterial = { insecure: false, ...tls };
  const access: KubeAccess = {
    server: url,
    source: '/etc/kubeconfig, context c',
    namespace: undefined,
    user: 'tester',
    origins: { ca: '/etc/ca.crt', cert: '/etc/client.crt', key: '/etc/client.key' },
    tls: () => material,
    token: () => undefined,
    renewToken: () => false,
  };
  const client = createKubeClient(access, { timeoutMs: 2000, retry: { firstMs: 5, mostMs: 20 }, ...options });
  open.push(client);
  return client;
}

async function failureOf(client: KubeClient): Promise<KubeError> {
  const failure = await client.get(PODS, 'a', PLACE).catch((error: unknown) => error);
  if (failure instanceof KubeError) return failure;
  throw new Error(`Cannot go on: no KubeError (${failure})`);
}

test('a server whose certificate the authority has signed is asked', async () => {
  await using server = await ScriptedHttp.start([good], authority.issue(forHere));
  const client = clientOf(server.url, { ca: authority.certificate });
  expect(await client.get(PODS, 'a', PLACE)).toEqual({ metadata: { name: 'a' } });
});

test('a server is known by another of its names where tls-server-name says so', async () => {
  const named = authority.issue({ commonName: 'api', dnsNames: ['kubernetes.default'] });
  await using server = await ScriptedHttp.start([good], named);
  const tls = { ca: authority.certificate, serverName: 'kubernetes.default' };
  expect(await clientOf(server.url, tls).get(PODS, 'a', PLACE)).toEqual({ metadata: { name: 'a' } });
});

test.each([
  [
    'is signed by another authority',
    stranger.issue(forHere),
    authority.certificate,
    /authority that we do not know/,
    /\/etc\/ca\.crt.*CN=cluster-ca/,
  ],
  [
    'has ended',
    authority.issue({ ...forHere, notAfter: new Date(Date.now() - HOUR_MS / 2) }),
    authority.certificate,
    /not valid at this time/,
    /Renew .*clock/,
  ],
  [
    'is not valid yet',
    authority.issue({ ...forHere, notBefore: new Date(Date.now() + HOUR_MS) }),
    authority.certificate,
    /not valid at this time/,
    /clock/,
  ],
  [
    'is for other names',
    authority.issue({ commonName: 'x', dnsNames: ['x.example'] }),
    authority.certificate,
    /for other names/,
    /tls-server-name/,
  ],
  [
    'is held against an authority that cannot be read',
    authority.issue(forHere),
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    /authority that we do not know/,
    /\/etc\/ca\.crt cannot be read/,
  ],
] as const)(
  'a server whose certificate %s is refused at once, and the error says which',
  async (_, own, ca, message, hint) => {
    await using server = await ScriptedHttp.start([good], own);
    const error = await failureOf(clientOf(server.url, { ca }));
    expect(error).toMatchObject({ reason: 'Unreachable', code: 'try-later', maybeDone: false });
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(server.seen).toEqual([]);
    expect(server.connections).toBe(1);
  },
);

test('what is not to be verified is not, and the log says so once', async () => {
  await using server = await ScriptedHttp.start([good], stranger.issue(forHere));
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const client = clientOf(server.url, { insecure: true }, { log });
  await client.get(PODS, 'a', PLACE);
  await client.get(PODS, 'a', PLACE);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('API server is not verified');
});

test('a key that is not that of the certificate is told with both files', async () => {
  await using server = await ScriptedHttp.start([good], authority.issue(forHere));
  const one = authority.issue({ commonName: 'one' });
  const two = authority.issue({ commonName: 'two' });
  const tls = { ca: authority.certificate, cert: one.certificate, key: two.key };
  const error = await failureOf(clientOf(server.url, tls));
  expect(error.reason).toBe('Credentials');
  expect(error.message).toContain('/etc/client.crt with /etc/client.key');
  expect(JSON.stringify([error.message, error.hint, error.stack])).not.toContain(two.key.slice(40, 80));
});

test('a port that does not speak TLS is told as that', async () => {
  await using server = await ScriptedHttp.start([good]);
  const error = await failureOf(
    clientOf(server.url.replace('http:', 'https:'), { ca: authority.certificate }),
  );
  expect(error.message).toContain('does not speak TLS');
});

test('a host name that does not resolve is told as that', async () => {
  const error = await failureOf(clientOf('https://no-such-host.invalid:6443', { ca: authority.certificate }));
  expect(error).toMatchObject({ reason: 'Unreachable', code: 'try-later' });
  expect(error.hint).toContain('cannot be resolved');
});

test('a server that accepts connections and says nothing in TLS is given up for another attempt', async () => {
  await using server = await ScriptedHttp.start([silence], authority.issue(forHere));
  // Plain TCP to a TLS port: the handshake of the other side never comes.
  const { createServer } = await import('node:net');
  let connections = 0;
  const mute = createServer(() => {
    connections += 1;
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const address = mute.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const url = server.url.replace(/\d+$/, String(port));
  const error = await failureOf(
    clientOf(url, { ca: authority.certificate }, { timeoutMs: 600, connectMs: 100 }),
  );
  mute.close();
  expect(error).toMatchObject({ reason: 'Unreachable', maybeDone: false });
  expect(error.message).toContain('no connection');
  expect(connections).toBeGreaterThan(1);
});

test('a server that takes its time for TLS is waited for longer than for a connection', async () => {
  await using server = await ScriptedHttp.start([good], authority.issue(forHere));
  const { connect, createServer } = await import('node:net');
  let connections = 0;
  const slow = createServer((near) => {
    connections += 1;
    setTimeout(() => {
      const far = connect(Number(new URL(server.url).port), '127.0.0.1');
      near.pipe(far).pipe(near);
    }, 300);
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const address = slow.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = clientOf(
    server.url.replace(/\d+$/, String(port)),
    { ca: authority.certificate },
    { connectMs: 200 },
  );
  expect(await client.get(PODS, 'a', PLACE)).toEqual({ metadata: { name: 'a' } });
  slow.close();
  expect(connections).toBe(1);
});

test('a call that waits for the connection of another has that connection: it is asked once, however long it takes', async () => {
  const slow: Step = (answer, seen) => void setTimeout(() => good(answer, seen), 300);
  await using server = await ScriptedHttp.start([good, slow], authority.issue(forHere));
  const options = { connections: 1, connectMs: 100 };
  const client = clientOf(server.url, { ca: authority.certificate }, options);
  await Promise.all([client.get(PODS, 'a', PLACE), client.get(PODS, 'b', PLACE)]);
  expect(server.asked).toHaveLength(2);
  expect(server.connections).toBe(1);
});

test('a write that waited for the connection of another, and is not answered, is told as perhaps done', async () => {
  await using server = await ScriptedHttp.start([good, silence], authority.issue(forHere));
  const options = { connections: 1, timeoutMs: 400 };
  const client = clientOf(server.url, { ca: authority.certificate }, options);
  const pod = { metadata: { name: 'b', namespace: 'n' } };
  const [, failure] = await Promise.all([
    client.get(PODS, 'a', PLACE),
    client.create(PODS, pod, { ...PLACE, isOurs: () => true }).catch((error: unknown) => error),
  ]);
  expect(failure).toMatchObject({ maybeDone: true });
});
