// iproute2 for the plugins that are broken on purpose: in the host's namespace, or in the one at a path.
import { spawnSync } from 'node:child_process';
import { isObject, type JsonObject, objectsOf } from '../json.ts';
import { Refusal } from './call.ts';

/** Runs `ip`; lines of a batch in one process. */
export function ipBatch(netns: string | undefined, lines: readonly string[]): void {
  const { status, stderr } = start(netns, ['-batch', '-'], `${lines.join('\n')}\n`);
  if (status !== 0) throw new Refusal(999, `ip fails: ${stderr.trim()}`);
}

export interface Link {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
}

/** Links of a namespace; none where there is no namespace. */
export function readLinks(netns: string | undefined): readonly Link[] {
  return readJson(netns, ['-j', 'addr', 'show']).map((row) => ({
    name: `${row.ifname}`,
    mac: `${row.address}`,
    mtu: Number(row.mtu),
    addresses: objectsOf(row.addr_info).map((entry) => `${entry.local}/${entry.prefixlen}`),
  }));
}

export function readRoutes(netns: string | undefined): readonly string[] {
  return readJson(netns, ['-j', 'route', 'show', 'table', 'all']).map((row) => `${row.dst}`);
}

function readJson(netns: string | undefined, argv: readonly string[]): readonly JsonObject[] {
  const { status, stdout } = start(netns, argv, '');
  const rows: unknown = status === 0 && stdout !== '' ? JSON.parse(stdout) : [];
  return Array.isArray(rows) ? rows.filter(isObject) : [];
}

function start(netns: string | undefined, argv: readonly string[], input: string) {
  const enter = netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
  const [file = 'ip', ...rest] = [...enter, 'ip', ...argv];
  return spawnSync(file, rest, { input, encoding: 'utf8' });
}
