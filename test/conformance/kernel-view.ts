// What the kernel shows of a network namespace, read through iproute2 and without what the kernel adds by itself.
import { exec } from './exec.ts';
import { isObject, type Json, type JsonObject, objectsOf, stringOf } from './json.ts';

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

export interface LinkView {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly kind: string;
  readonly up: boolean;
  readonly addresses: readonly string[];
}

export interface RouteView {
  /** CIDR; `0.0.0.0/0` and `::/0` for the default. */
  readonly dst: string;
  readonly gw: string | undefined;
  readonly dev: string | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
  readonly scope: string | undefined;
}

/** `ip` with these arguments; in a named namespace where one is given. */
export async function ip(namespace: string | undefined, ...argv: string[]): Promise<string> {
  const at = namespace === undefined ? [] : ['-n', namespace];
  const outcome = await exec(['ip', ...at, ...argv], { env: ENV });
  if (outcome.exitCode !== 0) throw new Error(`Cannot run ip ${argv.join(' ')}: ${outcome.stderr.trim()}`);
  return outcome.stdout;
}

/** `ip -batch`: many commands in one process. */
export async function ipBatch(namespace: string | undefined, lines: readonly string[]): Promise<void> {
  const at = namespace === undefined ? [] : ['-n', namespace];
  const outcome = await exec(['ip', ...at, '-batch', '-'], { env: ENV, stdin: `${lines.join('\n')}\n` });
  if (outcome.exitCode !== 0) throw new Error(`Cannot run ip -batch: ${outcome.stderr.trim()}`);
}

/** Every link but lo, with the addresses that somebody gave it. */
export async function readLinks(namespace: string | undefined): Promise<readonly LinkView[]> {
  return parseRows(await ip(namespace, '-j', '-d', 'addr', 'show'))
    .filter((row) => row.ifname !== 'lo')
    .map((row) => ({
      name: String(row.ifname),
      mac: String(row.address ?? ''),
      mtu: Number(row.mtu),
      kind: isObject(row.linkinfo) ? String(row.linkinfo.info_kind ?? '') : '',
      up: Array.isArray(row.flags) && row.flags.includes('UP'),
      addresses: objectsOf(row.addr_info)
        .filter((address) => address.scope !== 'link' || address.family !== 'inet6')
        .map((address) => canonicalCidr(`${address.local}/${address.prefixlen}`)),
    }));
}

/** Every unicast route of every table but `local`, link-local ones left out. */
export async function readRoutes(namespace: string | undefined): Promise<readonly RouteView[]> {
  const [four, six] = await Promise.all([
    ip(namespace, '-4', '-j', '-d', 'route', 'show', 'table', 'all'),
    ip(namespace, '-6', '-j', '-d', 'route', 'show', 'table', 'all'),
  ]);
  const all = [
    ...parseRows(four).map((row) => routeOf(row, 4)),
    ...parseRows(six).map((row) => routeOf(row, 6)),
  ];
  return all.filter((route) => route !== undefined);
}

function routeOf(row: JsonObject, family: 4 | 6): RouteView | undefined {
  const dst = stringOf(row.dst) ?? '';
  if (row.table === 'local' || (row.type !== undefined && row.type !== 'unicast')) return undefined;
  if (dst.startsWith('fe80:') || dst.startsWith('ff00:')) return undefined;
  const metrics = objectsOf(row.metrics)[0] ?? {};
  return {
    dst: canonicalCidr(dst === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : dst),
    gw: stringOf(row.gateway),
    dev: stringOf(row.dev),
    metric: numberOf(row.metric),
    table: row.table === undefined || row.table === 'main' ? 254 : numberOf(row.table),
    mtu: numberOf(metrics.mtu),
    advmss: numberOf(metrics.advmss),
    scope: stringOf(row.scope),
  };
}

/** The namespace as sorted lines: two views are equal when nothing that a plugin does has changed between them. */
export function describeLinks(links: readonly LinkView[]): string {
  return links
    .map((link) => `${link.name} ${link.mac} mtu ${link.mtu} ${[...link.addresses].sort().join(' ')}`.trim())
    .sort()
    .join('; ');
}

/** An address with prefix length as the kernel writes it; a host's prefix length is put in where none is. */
export function canonicalCidr(text: string): string {
  const [address = '', length] = text.split('/');
  if (!address.includes(':')) return `${address}/${length ?? 32}`;
  return `${canonicalAddress(address)}/${length ?? 128}`;
}

export function canonicalAddress(address: string): string {
  if (!address.includes(':')) return address;
  const url = URL.parse(`http://[${address}]/`);
  return url === null ? address : url.hostname.slice(1, -1);
}

function numberOf(value: Json | undefined): number | undefined {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN;
  return Number.isNaN(number) ? undefined : number;
}

function parseRows(text: string): readonly JsonObject[] {
  // iproute2 prints nothing at all, not [], for an empty list of some objects; and {} for absent rows.
  return text.trim() === '' ? [] : objectsOf(JSON.parse(text) as Json);
}
