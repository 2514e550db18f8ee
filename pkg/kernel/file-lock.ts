// Locks on files. Those of tryLock a child process can inherit (flock(2)): held until the last descriptor of the one open() is closed.
import { closeSync, constants, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';
import { monotonicMs, sleep } from './clock.ts';
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

const LOOK_EVERY_MS = 20;

/**
 * Runs `work` while nobody else holds the lock of what is at the path, a directory too; a dead holder holds none.
 * @param limitMs how long to wait for it
 * @throws ManifoldError 'try-later' when somebody held it all the time; what `work` throws
 */
export function whileLocked<T>(path: string, limitMs: number, work: () => T): T {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const end = monotonicMs() + limitMs;
    while (libc().flock(fd, LOCK_EX | LOCK_NB) !== 0) {
      const reason = errnoName(libc().errno());
      if (reason !== 'EAGAIN') throw new ManifoldError('io', `Cannot lock ${path}: ${reason}`);
      if (monotonicMs() >= end)
        throw new ManifoldError('try-later', `Cannot lock ${path}: somebody has held it for ${limitMs} ms`);
      sleep(LOOK_EVERY_MS);
    }
    return work();
  } finally {
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
