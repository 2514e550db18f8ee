// A kubeconfig file (client-go's clientcmd/api/v1) as a KubeAccess. Its secrets never reach a message.
import { readFileSync } from 'node:fs';
import type { Document } from 'yaml';
import { unreadable } from './changing-file.ts';
import type { KubeAccess, TlsMaterial } from './kube-access.ts';
import { KubeError } from './kube-error.ts';
import { isFields, Section, WANTED } from './kubeconfig-section.ts';
import { checkedPem } from './pem.ts';
import { readTrustedFile, TRUSTED_HINT } from './trusted-file.ts';

/**
 * @param path of the kubeconfig, JSON or YAML
 * @param context instead of its current-context
 * @throws KubeError Credentials: missing, unreadable, no kubeconfig, or with a way to log in that is not ours
 */
export async function readKubeconfig(path: string, context?: string): Promise<KubeAccess> {
  return accessFrom(path, readText(path), context);
}

/**
 * For plugins, which run as root with a path that a definition may name: no tenant shall make them send a file of the
 * node to a server of its choice. What the kubeconfig itself names is then root's choice.
 * @throws KubeError Credentials as readKubeconfig, and where somebody other than root may have written the file
 */
export async function readTrustedKubeconfig(path: string): Promise<KubeAccess> {
  const read = reading(path, readTrustedFile);
  if ('text' in read) return accessFrom(path, read.text, undefined);
  throw new KubeError('Credentials', `Cannot use the kubeconfig: ${read.distrusted} (${path})`, {
    hint: TRUSTED_HINT,
  });
}

async function accessFrom(path: string, text: string, context: string | undefined): Promise<KubeAccess> {
  const config = new Section(path, '', await parse(path, text));
  const chosen = context ?? config.text('current-context');
  if (chosen === undefined || chosen === '')
    throw config.refuse('current-context', 'it names no context', 'Set it: kubectl config use-context NAME.');
  const named = entry(config, 'contexts', chosen, 'context', 'current-context');
  const cluster = entry(config, 'clusters', named.need('cluster'), 'cluster', named.keyOf('cluster'));
  const userName = named.text('user') ?? '';
  const user =
    userName === ''
      ? new Section(path, 'users', {})
      : entry(config, 'users', userName, 'user', named.keyOf('user'));
  for (const [section, key, what] of REFUSED)
    if ((section === 'user' ? user : cluster).has(key))
      throw (section === 'user' ? user : cluster).refuse(key, `${what} not supported`, LOG_IN);
  return accessOf({ path, context: chosen, cluster, user, userName, namespace: named.text('namespace') });
}

const LOG_IN = 'Use a token, a tokenFile or a client certificate, and the address of the API server itself.';
const REFUSED = [
  ['user', 'exec', 'programs that fetch credentials are'],
  ['user', 'auth-provider', 'auth providers are'],
  ['user', 'username', 'passwords are'],
  ['user', 'password', 'passwords are'],
  ['user', 'as', 'impersonation is'],
  ['cluster', 'proxy-url', 'proxies are'],
] as const;

interface Parts {
  readonly path: string;
  readonly context: string;
  readonly cluster: Section;
  readonly user: Section;
  readonly userName: string;
  readonly namespace: string | undefined;
}

function accessOf({ path, context, cluster, user, userName, namespace }: Parts): KubeAccess {
  const server = serverOf(cluster);
  const ca = pemSource(cluster, 'certificate-authority', 'the certificate authority', 'CERTIFICATE');
  const cert = pemSource(user, 'client-certificate', 'the client certificate', 'CERTIFICATE');
  const key = pemSource(user, 'client-key', 'the client key', 'PRIVATE KEY');
  if ((cert === undefined) !== (key === undefined)) {
    const [there, missing] = cert
      ? ['client-certificate', 'client-key']
      : ['client-key', 'client-certificate'];
    throw user.refuse(missing, `it is missing beside ${there}`, `Give both, or neither.`);
  }
  const token = tokenSource(user);
  if (token !== undefined && isOverheard(server))
    throw cluster.refuse('server', 'a token would be sent unencrypted', 'Write it as https://HOST:PORT.');
  const serverName = cluster.text('tls-server-name');
  const insecure = cluster.flag('insecure-skip-tls-verify');
  let material: TlsMaterial | undefined;
  return {
    server,
    source: `${path}, context ${context}`,
    namespace: namespace === '' ? undefined : namespace,
    user: userName,
    origins: {
      ...(ca && { ca: ca.origin }),
      ...(cert && { cert: cert.origin }),
      ...(key && { key: key.origin }),
      ...(token && { token: token.origin }),
    },
    tls() {
      const read: TlsMaterial = {
        // client-go: a CA beside insecure-skip-tls-verify is an error there; here it is just not looked at.
        ...(ca && { ca: ca.text() }),
        ...(cert && { cert: cert.text() }),
        ...(key && { key: key.text() }),
        ...(serverName && { serverName }),
        insecure,
      };
      if (material === undefined || !sameMaterial(material, read)) material = read;
      return material;
    },
    token: () => token?.text(),
    renewToken: (refused) => token !== undefined && token.again() !== refused,
  };
}

const sameMaterial = (a: TlsMaterial, b: TlsMaterial): boolean =>
  a.ca === b.ca && a.cert === b.cert && a.key === b.key;

interface Source {
  readonly origin: string;
  text(): string;
  again(): string;
}

/** `key`-data goes before `key`, as in client-go. */
function pemSource(section: Section, key: string, what: string, label: string): Source | undefined {
  const inline = section.text(`${key}-data`);
  if (inline) {
    const origin = section.keyOf(`${key}-data`);
    const text = checkedPem(Buffer.from(inline, 'base64').toString('latin1'), label, what, origin);
    return { origin, text: () => text, again: () => text };
  }
  const file = section.file(key, what);
  if (file === undefined) return undefined;
  const check = (text: string) => checkedPem(text, label, what, file.path);
  return { origin: file.path, text: () => check(file.text()), again: () => check(file.again()) };
}

/** tokenFile goes before token, as in client-go. */
function tokenSource(user: Section): Source | undefined {
  const file = user.file('tokenFile', 'the token');
  if (file !== undefined) {
    const check = (text: string) => checkedToken(text.trim(), file.path);
    return { origin: file.path, text: () => check(file.text()), again: () => check(file.again()) };
  }
  const given = user.text('token');
  if (!given) return undefined;
  const text = checkedToken(given, user.keyOf('token'));
  return { origin: user.keyOf('token'), text: () => text, again: () => text };
}

/** What may stand in a header: anything else would be another header, or an error that shows the token. */
export function checkedToken(token: string, origin: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new KubeError('Credentials', `Cannot use the token: it is no single line of text (${origin})`, {
    hint: 'A token is one word of letters, digits and punctuation; write it anew.',
  });
}

function serverOf(cluster: Section): string {
  const text = cluster.need('server');
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (url === null || !['https:', 'http:'].includes(url.protocol))
    throw cluster.refuse('server', 'it is no https:// address', 'Write it as https://HOST:PORT.');
  if (url.username !== '' || url.password !== '')
    throw cluster.refuse('server', 'it holds a password', 'Write it as https://HOST:PORT.');
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}

/** True where others than this machine see what is sent. */
function isOverheard(server: string): boolean {
  const { protocol, hostname } = new URL(server);
  return protocol === 'http:' && !/^(localhost|127\.[0-9.]+|\[::1\])$/.test(hostname);
}

function entry(config: Section, list: string, name: string, kind: string, namedBy: string): Section {
  const items = config.list(list);
  const at = items.findIndex((item) => isFields(item) && item.name === name);
  if (at >= 0) return new Section(config.path, `${list}[${at}]`, items[at]).section(kind);
  const names = items.flatMap((item) => (isFields(item) && typeof item.name === 'string' ? [item.name] : []));
  throw new KubeError(
    'Credentials',
    `Cannot use the kubeconfig: ${list} has no entry of that name (${config.path}: ${JSON.stringify(name)}, named by ${namedBy})`,
    { hint: names.length === 0 ? `${list} is empty.` : `There are: ${names.join(', ')}.` },
  );
}

const readText = (path: string): string => reading(path, (one) => readFileSync(one, 'utf8'));

function reading<T>(path: string, read: (path: string) => T): T {
  try {
    return read(path);
  } catch (error) {
    throw unreadable(path, 'the kubeconfig', path, error);
  }
}

/** JSON needs no library to be loaded. Of an error only its place is told, for the text may hold secrets. */
async function parse(path: string, text: string): Promise<unknown> {
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      // YAML's flow style begins with a brace, too.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent', uniqueKeys: true });
  const [error] = document.errors;
  if (error === undefined) return withoutAliases(path, document);
  const line = text.slice(0, error.pos[0]).split('\n').length;
  throw new KubeError(
    'Credentials',
    `Cannot use the kubeconfig: it is no YAML (${path}, line ${line}: ${error.code})`,
    {
      hint: WANTED,
    },
  );
}

/** Few aliases can stand for more than fits into memory. */
function withoutAliases(path: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // What the library throws for too many, and for one that names nothing.
    if (!(error instanceof ReferenceError)) throw error;
    throw new KubeError(
      'Credentials',
      `Cannot use the kubeconfig: its YAML aliases name nothing, or stand for too much (${path})`,
      { hint: 'Write out what the aliases stand for: kubectl config view --flatten.' },
    );
  }
}
