import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createAuthority } from '../../test/kit/certificate.ts';
import { inClusterAccess } from './in-cluster.ts';
import { KubeError } from './kube-error.ts';
import { readKubeconfig, readTrustedKubeconfig } from './kubeconfig.ts';

const directory = mkdtempSync(join(tmpdir(), 'manifold-kubeconfig-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const authority = createAuthority('test-ca');
const client = authority.issue({ commonName: 'someone' });
const base64 = (text: string) => Buffer.from(text).toString('base64');
const SECRET = 'top-secret-value';

let written = 0;
function file(text: string, name = `file-${++written}`): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

interface Parts {
  readonly cluster?: Record<string, unknown>;
  readonly user?: Record<string, unknown>;
  readonly context?: Record<string, unknown>;
  readonly top?: Record<string, unknown>;
}

const config = ({ cluster, user, context, top }: Parts = {}) => ({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'here',
  contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', ...context } }],
  clusters: [
    { name: 'other', cluster: { server: 'https://192.0.2.9' } },
    { name: 'c', cluster: { server: 'https://192.0.2.1:6443', ...cluster } },
  ],
  users: [{ name: 'u', user: { token: SECRET, ...user } }],
  ...top,
});

async function refusalOf(path: string): Promise<KubeError> {
  const use = async () => {
    const access = await readKubeconfig(path);
    // What a file holds is looked at when it is used.
    access.tls();
    access.token();
  };
  const failure = await use().catch((error: unknown) => error);
  if (failure instanceof KubeError) return failure;
  throw new Error(`Cannot go on: it was read (${failure})`);
}

const thrownBy = (call: () => unknown): unknown => {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
};

test.each([
  ['YAML', stringify],
  ['JSON', JSON.stringify],
  ['YAML in braces', (value: unknown) => stringify(value, { collectionStyle: 'flow' })],
])('a kubeconfig is read as %s', async (_, write) => {
  const cluster = { 'certificate-authority-data': base64(authority.certificate), 'tls-server-name': 'api' };
  const access = await readKubeconfig(file(write(config({ cluster, context: { namespace: 'shop' } }))));
  expect(access).toMatchObject({ server: 'https://192.0.2.1:6443', namespace: 'shop', user: 'u' });
  expect(access.token()).toBe(SECRET);
  expect(access.tls()).toEqual({ ca: authority.certificate, serverName: 'api', insecure: false });
  expect(access.tls()).toBe(access.tls());
});

test('another context than the current one can be named', async () => {
  const contexts = [
    { name: 'here', context: { cluster: 'c', user: 'u' } },
    { name: 'there', context: { cluster: 'other', user: 'u' } },
  ];
  const path = file(stringify(config({ top: { contexts } })));
  expect((await readKubeconfig(path, 'there')).server).toBe('https://192.0.2.9');
});

test.each([
  ['https://api.example:6443/k8s/clusters/c-1/', 'https://api.example:6443/k8s/clusters/c-1'],
  ['https://[2001:db8::1]:6443', 'https://[2001:db8::1]:6443'],
  ['192.0.2.1:6443', 'https://192.0.2.1:6443'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
])('the server %s is %s', async (server, expected) => {
  expect((await readKubeconfig(file(stringify(config({ cluster: { server } }))))).server).toBe(expected);
});

test('files are found beside the kubeconfig, and data goes before files', async () => {
  mkdirSync(join(directory, 'pki'), { recursive: true });
  writeFileSync(join(directory, 'pki', 'ca.crt'), authority.certificate);
  writeFileSync(join(directory, 'pki', 'c.crt'), client.certificate);
  writeFileSync(join(directory, 'pki', 'c.key'), client.key);
  const cluster = { 'certificate-authority': 'pki/ca.crt' };
  const user = {
    token: undefined,
    'client-certificate': 'pki/c.crt',
    'client-key': '/nonexistent',
    'client-key-data': base64(client.key),
  };
  const access = await readKubeconfig(file(stringify(config({ cluster, user }))));
  expect(access.tls()).toEqual({
    ca: authority.certificate,
    cert: client.certificate,
    key: client.key,
    insecure: false,
  });
  expect(access.token()).toBeUndefined();
});

test('a token file goes before a token, and is read again when it has changed', async () => {
  const tokens = file('first\n');
  const access = await readKubeconfig(file(stringify(config({ user: { tokenFile: tokens } }))));
  expect(access.token()).toBe('first');
  writeFileSync(tokens, 'second-one\n');
  expect(access.token()).toBe('second-one');
  expect(access.renewToken('second-one')).toBe(false);
});

test('a token that was renewed while a call with the old one was under way is another one, whoever has seen it', async () => {
  const tokens = file('old');
  const access = await readKubeconfig(file(stringify(config({ user: { tokenFile: tokens } }))));
  expect(access.token()).toBe('old');
  writeFileSync(tokens, 'renewed');
  expect(access.token()).toBe('renewed');
  expect(access.renewToken('old')).toBe(true);
});

test('a token that was replaced within one tick of the clock is found after a 401', async () => {
  const tokens = file('first');
  const time = new Date('2026-01-01');
  utimesSync(tokens, time, time);
  const access = await readKubeconfig(file(stringify(config({ user: { tokenFile: tokens } }))));
  expect(access.token()).toBe('first');
  writeFileSync(tokens, 'other');
  utimesSync(tokens, time, time);
  expect(access.renewToken('first')).toBe(true);
  expect(access.token()).toBe('other');
});

test('certificates of a pod are read again when their directory is swapped as a whole', () => {
  const volume = mkdtempSync(join(directory, 'volume-'));
  const make = (name: string, ca: string, token: string) => {
    mkdirSync(join(volume, name));
    writeFileSync(join(volume, name, 'ca.crt'), ca);
    writeFileSync(join(volume, name, 'token'), token);
  };
  make('..1', authority.certificate, 'one');
  symlinkSync('..1', join(volume, '..data'));
  for (const name of ['ca.crt', 'token']) symlinkSync(join('..data', name), join(volume, name));
  const env = { KUBERNETES_SERVICE_HOST: '2001:db8::1', KUBERNETES_SERVICE_PORT: '443' };
  const access = inClusterAccess(env, volume);
  expect(access).toMatchObject({ server: 'https://[2001:db8::1]:443', namespace: undefined });
  const before = access.tls();
  expect([access.token(), before.ca]).toEqual(['one', authority.certificate]);
  const renewed = createAuthority('test-ca-2').certificate;
  make('..2', renewed, 'two');
  unlinkSync(join(volume, '..data'));
  symlinkSync('..2', join(volume, '..data'));
  expect([access.token(), access.tls().ca]).toEqual(['two', renewed]);
  expect(access.tls()).not.toBe(before);
});

test('a process outside of a pod is told so', () => {
  expect(thrownBy(() => inClusterAccess({}, directory))).toMatchObject({ reason: 'Credentials' });
});

const pem = (text: string) => ({ 'certificate-authority-data': base64(text) });

test.each([
  ['names no context', { top: { 'current-context': '' } }, /current-context/],
  ['names a context that is not there', { top: { 'current-context': 'gone' } }, /contexts .*"gone"/, /here/],
  [
    'names a cluster that is not there',
    { context: { cluster: 'gone' } },
    /clusters .*"gone".*contexts\[0\]/,
    /other, c/,
  ],
  ['names a user that is not there', { context: { user: 'gone' } }, /users .*"gone"/],
  ['has no server', { cluster: { server: '' } }, /clusters\[1\]\.cluster\.server/],
  ['has a server of another kind', { cluster: { server: 'ftp://x' } }, /clusters\[1\]\.cluster\.server/],
  ['has a password in the address', { cluster: { server: `https://me:${SECRET}@x` } }, /password.*server/],
  ['has an authority that is no PEM', { cluster: pem('hello') }, /no PEM .*certificate-authority-data/],
  ['has a key in place of the authority', { cluster: pem(client.key) }, /it is a PRIVATE KEY/],
  [
    'names a CA file that is not there',
    { cluster: { 'certificate-authority': 'gone.crt' } },
    /no such file .*gone\.crt.*certificate-authority/,
  ],
  [
    'has a certificate without key',
    { user: { 'client-certificate-data': base64(client.certificate) } },
    /users\[0\]\.user\.client-key/,
  ],
  ['names a token file that is not there', { user: { tokenFile: 'gone' } }, /no such file .*gone/],
  [
    'has a token of several lines',
    { user: { token: `${SECRET}\nX-Evil: 1` } },
    /no single line .*users\[0\]\.user\.token/,
  ],
  ['logs in by a program', { user: { exec: { command: 'aws' } } }, /users\[0\]\.user\.exec/, /tokenFile/],
  ['logs in by a provider', { user: { 'auth-provider': { name: 'gcp' } } }, /auth-provider/],
  ['logs in by password', { user: { username: 'me', password: SECRET } }, /username/],
  [
    'sends its token unencrypted',
    { cluster: { server: 'http://192.0.2.1:8080' } },
    /unencrypted .*clusters\[1\]\.cluster\.server/,
  ],
  ['goes through a proxy', { cluster: { 'proxy-url': 'http://p' } }, /proxy-url/],
  ['has a number for a name', { context: { namespace: 7 } }, /contexts\[0\]\.context\.namespace/],
  ['has text for a flag', { cluster: { 'insecure-skip-tls-verify': 'yes' } }, /insecure-skip-tls-verify/],
  ['has an object for a list', { top: { users: {} } }, /users/],
] as [string, Parts, RegExp, RegExp?][])(
  'a kubeconfig that %s is refused with file and key, and without the secret',
  async (_, parts, message, hint) => {
    const path = file(stringify(config(parts)));
    const error = await refusalOf(path);
    expect(error).toMatchObject({ reason: 'Credentials', code: 'api' });
    expect(error.message).toContain(path);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint ?? /\w/);
    expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain(SECRET);
  },
);

test.each([
  ['is not there', join(directory, 'gone'), /no such file/],
  ['is a directory', directory, /directory/],
  ['is empty', file(''), /no object/],
  ['is a list', file('[]'), /no object/],
])('a kubeconfig that %s is refused by its name', async (_, path, message) => {
  const error = await refusalOf(path);
  expect(error.message).toMatch(message);
  expect(error.message).toContain(path);
});

test('of a kubeconfig that is no YAML the line is told, and nothing that stands there', async () => {
  const path = file(`users:\n- name: u\n  user: {token: ${SECRET}, "\n`);
  const error = await refusalOf(path);
  expect(error.message).toMatch(/it is no YAML .*line \d/);
  expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain(SECRET);
});

test('without a token a server may be asked unencrypted', async () => {
  const parts = { cluster: { server: 'http://192.0.2.1:8080' }, user: { token: undefined } };
  expect((await readKubeconfig(file(stringify(config(parts))))).server).toBe('http://192.0.2.1:8080');
});

test('a kubeconfig whose YAML aliases stand for very much is refused by its name', async () => {
  const ten = (name: string) => Array(10).fill(name).join(',');
  const bomb = `a: &a [${ten('x')}]\nb: &b [${ten('*a')}]\nc: &c [${ten('*b')}]\nd: [${ten('*c')}]\n`;
  const path = file(bomb + stringify(config()));
  const error = await refusalOf(path);
  expect(error.message).toMatch(/aliases/);
  expect(error.message).toContain(path);
});

test('a plugin reads a kubeconfig that is only its own to write, by a link and in a sticky directory too', async () => {
  const path = file(stringify(config()));
  const link = join(directory, 'link');
  symlinkSync(path, link);
  expect((await readTrustedKubeconfig(link)).server).toBe('https://192.0.2.1:6443');
  await expect(readTrustedKubeconfig(join(directory, 'gone'))).rejects.toThrow(/no such file/);
});

test.each<[string, (path: string) => string, RegExp]>([
  ['others may write', (path) => chmodded(path, 0o646), /writable by group or others/],
  ['the group may write', (path) => chmodded(path, 0o664), /writable by group or others/],
  [
    'lies in a directory that others may write',
    (path) => {
      const open = mkdtempSync(join(directory, 'open-'));
      writeFileSync(join(open, 'k'), readFileSync(path));
      chmodSync(open, 0o777);
      return join(open, 'k');
    },
    /its directory .*open-\w+ is writable/,
  ],
  [
    "lies in a volume of a pod, where a container's root writes",
    (path) => {
      const volume = join(directory, 'kubelet/pods/u1/volumes/kubernetes.io~empty-dir/v');
      mkdirSync(volume, { recursive: true });
      writeFileSync(join(volume, 'k'), readFileSync(path));
      return join(volume, 'k');
    },
    /where containers keep their files/,
  ],
  [
    'is a FIFO',
    () => {
      const fifo = join(directory, 'fifo');
      execFileSync('mkfifo', [fifo]);
      return fifo;
    },
    /no regular file/,
  ],
  ['is a directory', () => directory, /it is a directory/],
])('a plugin reads no kubeconfig that %s, and says what is wanted', async (_, make, reason) => {
  const path = make(file(stringify(config())));
  const failure = await readTrustedKubeconfig(path).catch((error: unknown) => error);
  expect(failure).toMatchObject({ reason: 'Credentials', hint: expect.stringContaining('chown root') });
  expect(String(failure)).toMatch(reason);
  expect(String(failure)).toContain(path);
});

function chmodded(path: string, mode: number): string {
  chmodSync(path, mode);
  return path;
}
