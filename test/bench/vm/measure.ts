// The table of virtual functions: measured in the machine, told by its one case, shown as ratios.
import { join } from 'node:path';
import { caseId } from '../../vm/case.ts';
import { makeRunDirectory } from '../../vm/machine/run-directory.ts';
import { caseEnd } from '../../vm/run/events.ts';
import { runVm } from '../../vm/run/vm-run.ts';
import type { Cost } from '../child.ts';
import { table } from '../report.ts';
import { VM_BENCH } from './cases.ts';
import { type Row, VM_ROWS } from './subject.ts';

interface Sample {
  readonly row: Row;
  readonly add: readonly Cost[];
  readonly del: readonly Cost[];
}

const NAMES: Readonly<Record<Row, string>> = {
  node: 'empty Node',
  floor: 'kernel floor',
  ip: "sriov-cni's steps by `ip`",
  warm: 'sriov within a running process',
  executable: 'sriov, executable',
};

/** @throws Error when the machine cannot be made or the case failed */
export async function measureVm(rounds: number): Promise<string[]> {
  using directory = makeRunDirectory();
  const [one] = VM_BENCH.cases;
  if (one === undefined) throw new Error('Cannot measure: no case');
  const id = caseId(VM_BENCH, one);
  const run = {
    ids: [id],
    entry: join(import.meta.dirname, 'guest.ts'),
    directory: directory.path,
    settings: { ROUNDS: String(rounds) },
  };
  await runVm(run, new AbortController().signal);
  const { told } = await caseEnd(directory.path, id);
  return [vmTable(JSON.parse(told[0] ?? '[]') as Sample[])];
}

function vmTable(samples: readonly Sample[]): string {
  // A guest takes what its host does meanwhile for its own time, of wall and CPU alike: the quickest round says most.
  const of = (row: Row, verb: 'add' | 'del', key: keyof Cost) =>
    Math.min(...(samples.find((sample) => sample.row === row)?.[verb].map((cost) => cost[key]) ?? []));
  const cells = (row: Row, verb: 'add' | 'del') => {
    const [wall, cpu] = [of(row, verb, 'wallMs'), of(row, verb, 'cpuMs')];
    const times = (other: Row, key: keyof Cost) => (of(row, verb, key) / of(other, verb, key)).toFixed(2);
    if (wall === 0) return ['', '', ''];
    return [
      `${wall.toFixed(0)} (${cpu.toFixed(0)})`,
      row === 'node' ? '' : `${times('ip', 'wallMs')} (${times('ip', 'cpuMs')})`,
      row === 'node' ? '' : times('floor', 'wallMs'),
    ];
  };
  return table(
    ['case', 'ADD ms', 'x ip', 'x floor', 'DEL ms', 'x ip', 'x floor'],
    VM_ROWS.map((row) => [NAMES[row], ...cells(row, 'add'), ...cells(row, 'del')]),
  );
}
