// Who holds the lock of a container, as its file tells it, and the end of what a killed holder has left running.
import { readFileSync } from 'node:fs';
import { kill } from 'node:process';
import { readLockHolders } from './lock-holders.ts';
import { readProcessStat } from './process-stat.ts';
import { isSystemError } from './system-error.ts';

/** A process that a reused pid cannot be taken for. */
export interface Process {
  readonly pid: number;
  readonly startTime: string;
}

/** The text of the lock file. */
export interface Holder {
  readonly writer: Process;
  /** Leader of the plugin's process group; absent until it runs. */
  readonly child?: Process;
}

/** Undefined when there is no such process. */
export function processOf(pid: number): Process | undefined {
  const startTime = readProcessStat(pid)?.startTime;
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Undefined when the file is removed or written at this moment, or is none of ours. */
export function readHolder(path: string): Holder | undefined {
  let text: Partial<Record<string, unknown>> | null;
  try {
    text = JSON.parse(readFileSync(path, 'utf8')) as Partial<Record<string, unknown>> | null;
  } catch (error) {
    if (error instanceof SyntaxError || isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
  const writer = parseProcess(text?.writer);
  const child = parseProcess(text?.child);
  return writer && { writer, ...(child && { child }) };
}

/** Never 0 or 1: as a group to be killed they are one's own and everybody. */
function parseProcess(value: unknown): Process | undefined {
  const { pid, startTime } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 2 || typeof startTime !== 'string')
    return undefined;
  return { pid, startTime };
}

export function isAlive({ pid, startTime }: Process): boolean {
  const stat = readProcessStat(pid);
  return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/**
 * Kills the plugin's process group, and what has left it and holds the lock still.
 * @param again the group was killed before: it may be nothing but a leader that nobody has waited for
 * @returns whether there was anything
 */
export function endOrphan(path: string, { writer, child }: Holder, again: boolean): boolean {
  const group = child !== undefined && isGroup(child) && killIfThere(-child.pid);
  if (group && !again) return true;
  return readLockHolders(path, writer.pid).filter(killIfThere).length > 0 || group;
}

/** The kernel gives no pid anew that is still the number of a group: another process in its place means it is empty. */
function isGroup({ pid, startTime }: Process): boolean {
  const leader = readProcessStat(pid);
  return leader === undefined || leader.startTime === startTime;
}

function killIfThere(pid: number): boolean {
  try {
    return kill(pid, 'SIGKILL');
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
    throw error;
  }
}
