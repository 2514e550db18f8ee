// Locks on files that a child process can inherit (flock(2)): held until the last descriptor of the one open() is closed.
import { closeSync, constants, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';
import { errnoName } from './kernel-error.ts';
import { libc } from './libc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

export interface FileLock {
  /** Whoever inherits it holds the lock too. */
  readonly fd: number;
  /**
   * Removes the file and frees the lock, also where others have inherited it.
   * @throws Error of the file system; the lock is free all the same
   */
  remove(): void;
}

/**
 * Locks the file at the path, made when it is missing. Undefined when somebody else holds the lock.
 * @throws Error of the file system; ManifoldError 'io' of flock
 */
export function tryLock(path: string): FileLock | undefined {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    if (libc().flock(fd, LOCK_EX | LOCK_NB) !== 0) {
      const reason = errnoName(libc().errno());
      closeSync(fd);
      if (reason === 'EAGAIN') return undefined;
      throw new ManifoldError('io', `Cannot lock ${path}: ${reason}`);
    }
    // The last holder may have removed the file between our open and our lock: then others lock another one.
    if (isAt(path, fd)) return { fd, remove: () => remove(path, fd) };
    closeSync(fd);
  }
}

function isAt(path: string, fd: number): boolean {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  const mine = fstatSync(fd, { bigint: true });
  return there !== undefined && there.ino === mine.ino && there.dev === mine.dev;
}

function remove(path: string, fd: number): void {
  try {
    rmSync(path, { force: true });
  } finally {
    // Closing alone would leave the lock with what a plugin has started and left running.
    libc().flock(fd, LOCK_UN);
    closeSync(fd);
  }
}
