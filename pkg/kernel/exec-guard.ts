// One plugin at a time is exec'ed for a container, and what a killed process of ours has left running is ended first:
// its effects would come after those of the call that was to undo them.
import { existsSync, mkdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pid as ownPid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Logger } from '../log/logger.ts';
import { monotonicMs } from './clock.ts';
import { type FileLock, tryLock } from './file-lock.ts';
import { readLockHolders } from './lock-holders.ts';
import { endOrphan, type Holder, isAlive, type Process, processOf, readHolder } from './orphan.ts';
import { readProcessStat } from './process-stat.ts';
import { isSystemError } from './system-error.ts';

/** A lock on a container that an exec'ed plugin inherits: it is held for as long as the plugin runs. */
export interface ExecGuard {
  /** For the plugin to inherit. */
  readonly fd: number;
  /** To be told once it runs. @param group its process group, which whoever comes after us may kill */
  started(group: number): void;
  /** The call is over: what the plugin may have left running is its own affair. */
  release(): void;
}

export interface GuardPatience {
  /** For a call of another live process. @default 30000 */
  readonly liveMs?: number;
  /** For an orphan that was killed. @default 5000 */
  readonly orphanMs?: number;
}

const POLL_MS = 20;

/**
 * Takes the lock of a container, `<runDir>/calls/<containerId>`. Waits for the call of a live process; kills what a
 * dead one has left. Undefined where there is nothing to lock: the directory cannot be written, or the lock is held by
 * the very call that we are a part of.
 * @param containerId must be fit for a file name
 * @throws ManifoldError 'try-later' when the wait is over
 */
export async function guardExec(
  runDir: string,
  containerId: string,
  log: Logger,
  patience: GuardPatience = {},
): Promise<ExecGuard | undefined> {
  const path = join(runDir, 'calls', containerId);
  const { liveMs = 30_000, orphanMs = 5_000 } = patience;
  const begun = monotonicMs();
  let killedAt: number | undefined;
  for (;;) {
    let holder: Holder | undefined;
    try {
      const lock = lockIn(path);
      if (lock !== undefined) return guardOf(lock, log);
      holder = readHolder(path);
      if (holder?.child !== undefined && readProcessStat('self')?.session === holder.child.pid)
        return undefined;
      if (holder === undefined || isAlive(holder.writer)) killedAt = undefined;
      else if (endOrphan(path, holder, killedAt !== undefined)) {
        if (killedAt === undefined)
          log.warn('plugin of a killed call is ended', { container: containerId, ...holder });
        killedAt ??= monotonicMs();
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
      // An attachment is worth more than its guard.
      log.debug('plugin runs without a lock', { path, reason: error.message });
      return undefined;
    }
    const now = monotonicMs();
    if (now - begun > liveMs || now - (killedAt ?? now) > orphanMs)
      throw stillHeld(path, containerId, holder);
    await sleep(POLL_MS);
  }
}

function lockIn(path: string): FileLock | undefined {
  try {
    return tryLock(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  makeDirectory(dirname(path));
  return tryLock(path);
}

/** One by one: mkdir's own `recursive` never ends where a file system answers ENOENT, as /proc does (Node 26.10). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process was quicker.
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
}

function guardOf(lock: FileLock, log: Logger): ExecGuard {
  const writer = processOf(ownPid);
  // One line over the other: nothing of a former holder's may stand behind it.
  const write = (child?: Process) =>
    writeSync(lock.fd, JSON.stringify({ writer, child }).padEnd(TEXT_LENGTH), 0);
  const quietly = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      log.debug('lock of a container not written', { reason: error.message });
    }
  };
  quietly(() => write());
  return {
    fd: lock.fd,
    started: (group) => quietly(() => write(processOf(group))),
    release: () => quietly(lock.remove),
  };
}

/** More than two processes can need. */
const TEXT_LENGTH = 200;

function stillHeld(path: string, containerId: string, holder: Holder | undefined): ManifoldError {
  const pids = holder === undefined ? [] : readLockHolders(path, holder.writer.pid);
  const who = pids.length === 0 ? 'an earlier call' : `process ${pids.join(', ')} of an earlier call`;
  return new ManifoldError(
    'try-later',
    `Cannot call a plugin for container ${containerId}: ${who} still runs and holds the lock (${path})`,
    {
      hint: 'the runtime repeats the call; if it never succeeds, see what that process waits for and end it',
    },
  );
}
