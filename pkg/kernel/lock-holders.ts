// Which processes hold a file lock: the one that took it and all that inherited it. Reads all of /proc: not for every call.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isSystemError } from './system-error.ts';

/**
 * Processes with a descriptor that holds the lock of this file. Those that merely have the file open are not among them.
 * @param taker the process that took the lock, which need not live any more
 */
export function readLockHolders(path: string, taker: number): number[] {
  const file = fileId(path);
  if (file === undefined) return [];
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) =>
      namesIn(`/proc/${pid}/fd`).some(
        (fd) => fileId(`/proc/${pid}/fd/${fd}`) === file && holdsLock(`/proc/${pid}/fdinfo/${fd}`, taker),
      ),
    )
    .map(Number);
}

function fileId(path: string): string | undefined {
  const found = ifReadable(() => statSync(path, { bigint: true }));
  return found && `${found.dev}:${found.ino}`;
}

const namesIn = (directory: string): string[] => ifReadable(() => readdirSync(directory)) ?? [];

/** proc(5): "lock: 1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF" for a lock of this very open file. */
function holdsLock(fdinfo: string, taker: number): boolean {
  const text = ifReadable(() => readFileSync(fdinfo, 'utf8')) ?? '';
  return new RegExp(`^lock:.*\\bFLOCK\\b.*\\bWRITE ${taker} `, 'm').test(text);
}

/** Processes end and descriptors are closed while they are looked at; some are not for us to look at. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined;
    throw error;
  }
}
