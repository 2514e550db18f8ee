// Locks for what is held long and must be seen to be alive: a pass of GC over the node, an upgrade, a migration.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';
import { errnoOf } from './state-error.ts';

export interface LongLockOptions {
  /** How long to wait for another holder, at most. @default 0: not at all */
  readonly waitMs?: number;
  /** A holder that has shown no life for so long is taken for dead. At least 5000. @default 30000 */
  readonly staleMs?: number;
}

/**
 * Runs `work` while no other process of this node runs any under the same name. The holder shows that it lives by
 * touching <directory>/<name>.lock; the signal is aborted when it could not, and another may have taken over.
 * Not for the path of an ADD: the store's own transactions are there for that.
 * @throws ManifoldError 'try-later' when another process holds it
 */
export async function withLongLock<T>(
  directory: string,
  name: string,
  work: (lost: AbortSignal) => Promise<T>,
  { waitMs = 0, staleMs = 30_000 }: LongLockOptions = {},
): Promise<T> {
  const { lock } = await import('proper-lockfile');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, name);
  const lost = new AbortController();
  const release = await acquire();
  try {
    return await work(lost.signal);
  } finally {
    // A lost lock is another's now: not ours to release.
    if (!lost.signal.aborted) await release();
  }

  async function acquire(): Promise<() => Promise<void>> {
    const waitStepMs = 100;
    try {
      return await lock(path, {
        realpath: false,
        stale: staleMs,
        retries: {
          retries: Math.ceil(waitMs / waitStepMs),
          factor: 1,
          minTimeout: waitStepMs,
          maxTimeout: waitStepMs,
        },
        onCompromised: (error) => lost.abort(error),
      });
    } catch (error) {
      if (errnoOf(error) !== 'ELOCKED')
        throw new ManifoldError(
          'io',
          `Cannot begin ${name}: ${path}.lock cannot be made (${errnoOf(error) ?? String(error)})`,
          {
            hint: 'The directory must be there and writable.',
            cause: error,
          },
        );
      throw new ManifoldError(
        'try-later',
        `Cannot begin ${name}: another process of this node is at it (${path}.lock)`,
        {
          hint: `Wait until it is done. When it died, its lock is passed over ${staleMs / 1000} s later.`,
          cause: error,
        },
      );
    }
  }
}
