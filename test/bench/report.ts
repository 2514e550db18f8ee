// The measured numbers as the tables of docs/performance.md.
import { readFileSync, statSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { version } from 'node:process';
import { zstdCompressSync } from 'node:zlib';
import { PROGRAMS } from '../../build/bundle.ts';
import { bytesByPackage, readInputs } from '../kit/bundle-inputs.ts';
import { listBuiltins } from './builtins.ts';
import type { Cost } from './child.ts';
import type { MemoryRow } from './memories.ts';
import { BASE, type Timing } from './timings.ts';
import { DIST, script, type World } from './world.ts';

export const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map((_, index) => (index === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

const ms = ({ wallMs, cpuMs }: Cost) => `${wallMs.toFixed(1)} (${cpuMs.toFixed(1)})`;
const times = (mine: number, other: number | undefined) => (other ? (mine / other).toFixed(2) : '');

/** Each cell: wall milliseconds, CPU milliseconds in brackets; ratios of wall, then of CPU. */
export function timeTable(timings: readonly Timing[]): string {
  const find = (name: string) => timings.find((timing) => timing.name === name);
  const node = find(BASE.node)?.add;
  const floor = find(BASE.floor);
  const ratio = (cost: Cost, other: Cost | undefined) =>
    other === undefined || cost.wallMs === 0
      ? ''
      : `${times(cost.wallMs, other.wallMs)} (${times(cost.cpuMs, other.cpuMs)})`;
  return table(
    ['case', 'ADD ms', 'x Go', 'x empty Node', 'x floor', 'DEL ms', 'x Go', 'x floor'],
    timings.map(({ name, add, del }) => {
      const go = find(name.endsWith('static') ? BASE.static : BASE.leases);
      const own = name === BASE.node || name === BASE.floor;
      return [
        name,
        ms(add),
        own ? '' : ratio(add, go?.add),
        ratio(add, node),
        name === BASE.node ? '' : times(add.wallMs, floor?.add.wallMs),
        name === BASE.node ? '' : ms(del),
        own ? '' : ratio(del, go?.del),
        name === BASE.node ? '' : times(del.wallMs, floor?.del.wallMs),
      ];
    }),
  );
}

export function memoryTable(rows: readonly MemoryRow[]): string {
  const count = rows[0]?.count ?? 0;
  const mb = (value: number) => value.toFixed(1);
  return table(
    ['MB', 'peak', 'its own', `${count} at once, together`, 'for each of them'],
    rows.map(({ name, alone, together }) => [
      name,
      mb(alone.peak),
      mb(alone.own),
      mb(together),
      mb(together / count),
    ]),
  );
}

export function sizeTable(plugins: string): string {
  const compressed = (file: string) => `${(zstdCompressSync(readFileSync(file)).length / 1e6).toFixed(2)}`;
  const row = (name: string, file: string) => [
    name,
    (statSync(file).size / 1e6).toFixed(2),
    compressed(file),
  ];
  return table(
    ['file', 'MB', 'compressed (zstd)'],
    [
      row(`the executable, under ${PROGRAMS.length} names`, join(DIST, 'bin/manifold')),
      ...PROGRAMS.map((name) => row(`${name}.cjs`, join(DIST, 'js', `${name}.cjs`))),
      row('manifold-cli.cjs', join(DIST, 'js/manifold-cli.cjs')),
      row('Go macvlan', join(plugins, 'macvlan')),
      row('Go host-local', join(plugins, 'host-local')),
    ],
  );
}

/** What each bundle loads when it starts, without what it loads later on demand; kilobytes of minified code. */
export function loadTable(): string {
  const rows = Object.entries(readInputs()).map(([name, meta]) => {
    const sums = [...bytesByPackage(meta, true)].sort(([, a], [, b]) => b - a);
    const later = [...bytesByPackage(meta, false).keys()].filter((key) => !sums.some(([own]) => own === key));
    const total = sums.reduce((sum, [, bytes]) => sum + bytes, 0);
    return [
      name === 'all' ? 'all (the executable)' : name,
      (total / 1000).toFixed(0),
      sums.map(([key, bytes]) => `${key} ${(bytes / 1000).toFixed(0)}`).join(', '),
      later.join(', '),
    ];
  });
  return table(['bundle', 'kB', 'of these', 'only on demand'], rows);
}

export function machine(rounds: number, shown = 'medians'): string {
  const cpu = cpus();
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, Linux ${release()} ${arch()}, ${cpu.length} cores (${cpu[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${version}; load average ${loadavg()[0]?.toFixed(1)} before it; ${shown} of ${rounds} interleaved rounds.`;
}

/** One line for each verb: what Node itself has to load for a macvlan with our IPAM. */
export function builtinsText(world: World): string {
  return ['ADD', 'DEL']
    .map((verb) => {
      const { names, internal } = listBuiltins(world.macvlan(script, verb, 'manifold-ipam'));
      return `Built-in modules that a macvlan ${verb} loads: ${names.join(', ')}, and ${internal} internal ones.`;
    })
    .join('\n\n');
}
