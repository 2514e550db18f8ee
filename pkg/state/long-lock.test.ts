import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
      `Cannot begin gc: another process of this node is at it (${directory}/gc.lock)`,
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

test('the lock of a holder that shows no life is passed over', async () => {
  // As a process that was killed leaves it: nobody touches it any more.
  mkdirSync(join(directory, 'gc.lock'));
  await expect(withLongLock(directory, 'gc', async () => 'second')).rejects.toThrow('Cannot begin gc');
  utimesSync(join(directory, 'gc.lock'), 1000, 1000);
  expect(await withLongLock(directory, 'gc', async () => 'second')).toBe('second');
});
