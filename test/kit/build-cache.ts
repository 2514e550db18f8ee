// Programs of others that tests need: made once, kept in a cache outside the repository, never installed.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';
import { lock } from 'proper-lockfile';
import { cacheDirectory } from '../../build/cache.ts';

const LONGEST_BUILD_SECONDS = 3600;

/**
 * The directory `home`, below the cache, with what `make` put into the scratch directory that it was given. Made under
 * a lock: a second run waits for the first and finds it done.
 */
export async function madeOnce(
  home: readonly string[],
  make: (scratch: string) => Promise<void>,
): Promise<string> {
  const directory = cacheDirectory(...home);
  if (existsSync(directory)) return directory;
  mkdirSync(dirname(directory), { recursive: true });
  // The lock is kept alive by a timer: what holds it must not block the event loop.
  const release = await lock(dirname(directory), {
    stale: 60_000,
    retries: { retries: LONGEST_BUILD_SECONDS, minTimeout: 1000, factor: 1 },
  });
  const scratch = scratchDirectory();
  try {
    if (existsSync(directory)) return directory;
    await make(scratch);
    publish(scratch, directory);
    return directory;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    await release();
  }
}

/** On the file system of the cache, so that a rename publishes a finished directory whole. */
export function scratchDirectory(): string {
  mkdirSync(cacheDirectory(), { recursive: true });
  return mkdtempSync(cacheDirectory('scratch-'));
}

export function publish(finished: string, home: string): void {
  mkdirSync(dirname(home), { recursive: true });
  try {
    renameSync(finished, home);
  } catch (error) {
    // Another run was faster and put the same files there.
    if (!(error instanceof Error && 'code' in error && ['ENOTEMPTY', 'EEXIST'].includes(`${error.code}`)))
      throw error;
  }
}

/** What the program printed. @throws Error with what it said on stderr */
export async function run(
  file: string,
  argv: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const options = { cwd, env: { ...env, ...environment }, encoding: 'utf8' as const, maxBuffer: 64 << 20 };
  const { stdout } = await promisify(execFile)(file, [...argv], options);
  return stdout;
}

export async function hasGo(): Promise<boolean> {
  try {
    await run('go', ['version'], '/');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
