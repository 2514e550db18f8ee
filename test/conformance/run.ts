// Runs rows against a target, several at a time, each in a world of its own.
import { NotApplicable, type Row, RowFailed } from './row.ts';
import type { Target } from './target.ts';
import { World } from './world.ts';

export interface RowReport {
  readonly id: string;
  readonly level: Row['level'];
  readonly section: string;
  readonly sentence: string;
  /** `allowed`: it fails, and the caller said beforehand that it would. */
  readonly verdict: 'pass' | 'fail' | 'allowed' | 'n/a';
  /** What was seen, or why it does not apply; empty for a pass. */
  readonly seen: string;
  /** Why an allowed row fails. */
  readonly reason?: string;
}

export interface RunOptions {
  /** Row ids that are known to fail, with the reason. */
  readonly allow?: Readonly<Record<string, string>>;
  readonly jobs?: number;
  /** Aborted: no further row is begun; those under way end as ever, and clean up. */
  readonly signal?: AbortSignal;
}

/** Reports in the order of the rows. An allowed row that passes is reported as failed: the list is out of date. */
export async function runRows(
  target: Target,
  rows: readonly Row[],
  options: RunOptions = {},
): Promise<RowReport[]> {
  const reports: RowReport[] = [];
  const queue = rows.entries();
  const work = async (): Promise<void> => {
    for (const [index, row] of queue) {
      if (options.signal?.aborted === true) return;
      reports[index] = await runRow(target, row, options.allow?.[row.id]);
    }
  };
  await Promise.all(Array.from({ length: options.jobs ?? 4 }, work));
  return reports;
}

async function runRow(target: Target, row: Row, reason: string | undefined): Promise<RowReport> {
  const { id, level, section, sentence } = row;
  const tried = await tryRow(target, row);
  if (reason === undefined) return { id, level, section, sentence, ...tried };
  if (tried.verdict === 'fail')
    return { id, level, section, sentence, verdict: 'allowed', seen: tried.seen, reason };
  const seen = `allowed to fail (${reason}), and yet: ${tried.verdict}`;
  return { id, level, section, sentence, verdict: tried.verdict === 'pass' ? 'fail' : 'n/a', seen };
}

async function tryRow(target: Target, row: Row): Promise<Pick<RowReport, 'verdict' | 'seen'>> {
  if (row.kinds !== undefined && !row.kinds.includes(target.kind)) {
    return { verdict: 'n/a', seen: `not for a plugin of the kind ${target.kind}` };
  }
  await using world = await World.open(target);
  try {
    await row.try(world);
    return { verdict: 'pass', seen: '' };
  } catch (error) {
    if (error instanceof RowFailed) return { verdict: 'fail', seen: error.message };
    if (error instanceof NotApplicable) return { verdict: 'n/a', seen: error.message };
    throw new Error(`Cannot finish row ${row.id}: ${error}`, { cause: error });
  }
}
