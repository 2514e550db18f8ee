// Which process wrote a record, and whether it still runs.
import { readFileSync } from 'node:fs';
import type { Writer } from './node-store.ts';

/** This process. */
export function thisWriter(): Writer {
  return { pid: process.pid, startTime: statOf('self')?.startTime ?? '0', bootId: bootId() };
}

export const isSameWriter = (a: Writer, b: Writer): boolean =>
  a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId;

/** Changes with every boot of the kernel. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** True when the process still runs. False for another boot's, for a reused pid, and for a zombie. */
export function isAlive(writer: Writer, boot: string): boolean {
  if (writer.bootId !== boot) return false;
  const stat = statOf(String(writer.pid));
  return (
    stat !== undefined && stat.startTime === writer.startTime && stat.state !== 'Z' && stat.state !== 'X'
  );
}

function statOf(pid: string): { state: string; startTime: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // ENOENT, or ESRCH when it ends while being read: no such process either way.
    return undefined;
  }
  // proc(5): field 2 is the name in parentheses and may hold spaces and parentheses itself; 3 the state, 22 the start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === undefined || startTime === undefined ? undefined : { state, startTime };
}
