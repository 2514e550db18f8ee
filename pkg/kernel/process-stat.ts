// What /proc/<pid>/stat tells of a process.
import { readFileSync } from 'node:fs';
import { isSystemError } from './system-error.ts';

export interface ProcessStat {
  /** One letter: "Z" has ended and is not yet waited for. */
  readonly state: string;
  /** Process ID of the leader of its session. */
  readonly session: number;
  /** When it started, in clock ticks since boot: a reused pid has another. */
  readonly startTime: string;
}

/** Undefined when there is no such process. */
export function readProcessStat(pid: number | 'self'): ProcessStat | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    // ESRCH: it ended while it was read.
    if (isSystemError(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
  // proc(5): field 2 is the name in parentheses and may hold spaces and parentheses itself; 3 is the state, 6 the
  // session, 22 the start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, session, startTime] = [fields[0], Number(fields[3]), fields[19]];
  return state === undefined || startTime === undefined ? undefined : { state, session, startTime };
}
