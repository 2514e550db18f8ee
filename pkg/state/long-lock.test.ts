import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLongLock } from './long-lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a second holder of the name is refused while the first works, and let in afterwards', async () => {
  await withLongLock(directory, 'gc', async () => {
    await expect(withLongLock(directory, 'gc', async () => 'second')).rejects.toThrow(
      `Cannot begin gc: another process of this node is at it (${directory}/gc.lock, process ${process.pid})`,
    );
    expect(await withLongLock(directory, 'upgrade', async () => 'other name')).toBe('other name');
  });
  expect(await withLongLock(directory, 'gc', async () => 'second')).toBe('second');
});

test('it is given back when the work fails', async () => {
  await expect(withLongLock(directory, 'gc', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(readdirSync(directory)).toEqual([]);
});

test('one who waits gets it when the holder is done', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  const first = withLongLock(directory, 'gc', () => {
    begin();
    return done;
  });
  await begun;
  const second = withLongLock(directory, 'gc', async () => 'second', { waitMs: 10_000 });
  finish();
  await first;
  expect(await second).toBe('second');
});

/** When so many of them have failed. */
const refused = (tries: readonly Promise<unknown>[], count: number): Promise<void> =>
  new Promise((resolve) => {
    let failed = 0;
    for (const one of tries)
      one.catch(() => {
        failed++;
        if (failed === count) resolve();
      });
  });

/** A process that holds the lock until it is killed. */
async function holder(): Promise<ChildProcess> {
  const program = `
    import { withLongLock } from ${JSON.stringify(import.meta.resolve('./long-lock.ts'))};
    await withLongLock(${JSON.stringify(directory)}, 'gc', async () => {
      console.log('begun');
      await new Promise((end) => setTimeout(end, 60_000));
    });`;
  const child = spawn(execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('the lock of a holder that was killed is taken over at once, by one alone', async () => {
  const child = await holder();
  await expect(withLongLock(directory, 'gc', async () => 'second')).rejects.toThrow(
    `Cannot begin gc: another process of this node is at it (${directory}/gc.lock, process ${child.pid})`,
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  const tries = Array.from({ length: 8 }, () => withLongLock(directory, 'gc', () => done));
  const outcomes = Promise.allSettled(tries);
  // All but one have been refused by then.
  await refused(tries, 7);
  expect(readdirSync(directory).filter((name) => name.startsWith('gc.holder-'))).toEqual([
    expect.stringContaining(`gc.holder-${process.pid}-`),
  ]);
  finish();
  expect((await outcomes).map((one) => one.status).sort()).toEqual([
    'fulfilled',
    ...Array(7).fill('rejected'),
  ]);
  expect(readdirSync(directory)).toEqual([]);
});

test('one who waits takes over from a holder that is killed meanwhile', async () => {
  const child = await holder();
  const second = withLongLock(directory, 'gc', async () => 'second', { waitMs: 10_000 });
  child.kill('SIGKILL');
  expect(await second).toBe('second');
});

test('what a dead holder left behind says nothing of a lock that was made after it', async () => {
  mkdirSync(join(directory, `gc.holder-${process.pid}-1-earlier-boot`));
  // The file system's clock moves in steps of a few milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 30));
  mkdirSync(join(directory, 'gc.lock'));
  await expect(withLongLock(directory, 'gc', async () => 'second')).rejects.toThrow('Cannot begin gc');
  expect(readdirSync(directory)).toEqual(['gc.lock']);
});

test('a lock of an earlier boot is taken over at once', async () => {
  mkdirSync(join(directory, 'gc.lock'));
  mkdirSync(join(directory, `gc.holder-${process.pid}-1-earlier-boot`));
  expect(await withLongLock(directory, 'gc', async () => 'second')).toBe('second');
  expect(readdirSync(directory)).toEqual([]);
});

test('the lock of a holder that shows no life is passed over', async () => {
  // As a process that was killed leaves it: nobody touches it any more.
  mkdirSync(join(directory, 'gc.lock'));
  await expect(withLongLock(directory, 'gc', async () => 'second')).rejects.toThrow('Cannot begin gc');
  utimesSync(join(directory, 'gc.lock'), 1000, 1000);
  expect(await withLongLock(directory, 'gc', async () => 'second')).toBe('second');
});
