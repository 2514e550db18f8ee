// Locks for what is held long and must be seen to be alive: a pass of GC over the node, an upgrade, a migration.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ManifoldError } from '../errors/manifold-error.ts';
import { holderOf, passOverDead, showHolder } from './lock-holder.ts';
import { errnoOf } from './state-error.ts';

export interface LongLockOptions {
  /** How long to wait for another holder, at most. @default 0: not at all */
  readonly waitMs?: number;
  /** A holder that has shown no life for so long is taken for dead. At least 5000. @default 30000 */
  readonly staleMs?: number;
}

const WAIT_STEP_MS = 100;

/**
 * Runs `work` while no other process of this node runs any under the same name. The holder shows that it lives by
 * touching <directory>/<name>.lock; the signal is aborted when it could not, and another may have taken over. The lock
 * of a process that is dead is taken over at once.
 * Not for the path of an ADD: the store's own transactions are there for that.
 * @throws ManifoldError 'try-later' when another process holds it; 'io' when the lock cannot be made
 */
export async function withLongLock<T>(
  directory: string,
  name: string,
  work: (lost: AbortSignal) => Promise<T>,
  { waitMs = 0, staleMs = 30_000 }: LongLockOptions = {},
): Promise<T> {
  const lost = new AbortController();
  const release = await acquire({ directory, name, waitMs, staleMs, lost });
  try {
    return await work(lost.signal);
  } finally {
    // A lost lock is another's now: not ours to release.
    if (!lost.signal.aborted) await release();
  }
}

interface Wanted extends Required<LongLockOptions> {
  readonly directory: string;
  readonly name: string;
  readonly lost: AbortController;
}

async function acquire(wanted: Wanted): Promise<() => Promise<void>> {
  const { directory, name, waitMs, staleMs, lost } = wanted;
  const { lock } = await import('proper-lockfile');
  const options = { realpath: false, stale: staleMs, onCompromised: (error: Error) => lost.abort(error) };
  for (let waitedMs = 0; ; waitedMs += WAIT_STEP_MS) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      passOverDead(directory, name);
      const unlock = await lock(join(directory, name), options);
      return await shown(wanted, unlock);
    } catch (error) {
      if (errnoOf(error) !== 'ELOCKED') throw cannotLock(wanted, error);
      if (waitedMs >= waitMs) throw isHeld(wanted, error);
    }
    await setTimeout(WAIT_STEP_MS);
  }
}

/** Killed before it is shown, or after that was taken back, the lock is passed over when it has become stale. */
async function shown({ directory, name }: Wanted, unlock: () => Promise<void>): Promise<() => Promise<void>> {
  try {
    const takeBack = showHolder(directory, name);
    return () => {
      takeBack();
      return unlock();
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

function cannotLock({ directory, name }: Wanted, error: unknown): ManifoldError {
  return new ManifoldError(
    'io',
    `Cannot begin ${name}: ${directory}/${name}.lock cannot be made (${errnoOf(error) ?? String(error)})`,
    { hint: 'The directory must be there and writable.', cause: error },
  );
}

function isHeld({ directory, name, staleMs }: Wanted, error: unknown): ManifoldError {
  const holder = holderOf(directory, name);
  const who = holder === undefined ? '' : `, process ${holder.pid}`;
  return new ManifoldError(
    'try-later',
    `Cannot begin ${name}: another process of this node is at it (${directory}/${name}.lock${who})`,
    {
      hint: `Wait until it is done. When it hangs, its lock is passed over ${staleMs / 1000} s later.`,
      cause: error,
    },
  );
}
