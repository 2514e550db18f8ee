import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../log/logger.ts';
import { guardExec } from './exec-guard.ts';
import { tryLock } from './file-lock.ts';
import { readLockHolders } from './lock-holders.ts';
import { processOf } from './orphan.ts';

let runDir: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'manifold-guard-'));
  path = join(runDir, 'calls/c1');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(runDir, { recursive: true });
});

const BRIEFLY = { liveMs: 200, orphanMs: 200 };
const guard = (patience = {}) => guardExec(runDir, 'c1', silentLogger, patience);

function start(file: string, words: readonly string[], fd?: number): ChildProcess & { pid: number } {
  const child = spawn(file, words, { stdio: ['ignore', 'ignore', 'ignore', fd ?? 'ignore'], detached: true });
  children.push(child);
  if (child.pid === undefined) throw new Error(`no ${file}`);
  return Object.assign(child, { pid: child.pid });
}

/** A process that has ended. */
async function deadProcess() {
  const child = start('/bin/sleep', ['60']);
  const about = processOf(child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  return about;
}

/** Another process, which is none of ours, takes the lock. */
async function lockedByOther(): Promise<ChildProcess & { pid: number }> {
  const other = start('flock', ['--no-fork', path, 'sleep', '60']);
  for (let tries = 0; readLockHolders(path, other.pid).length === 0 && tries < 500; tries++) await sleep(10);
  return other;
}

function write(text: unknown): void {
  mkdirSync(join(runDir, 'calls'), { recursive: true });
  writeFileSync(path, JSON.stringify(text));
}

test('one lock at a time: the second is taken when the first is released, and the file goes', async () => {
  const first = await guard();
  let over = false;
  const second = guard().then((got) => {
    over = true;
    return got;
  });
  await sleep(100);
  expect(over).toBe(false);
  first?.release();
  (await second)?.release();
  expect(over).toBe(true);
  expect(existsSync(path)).toBe(false);
});

test('a live process that keeps the lock is named when the wait is over', async () => {
  const first = await guard();
  await expect(guard(BRIEFLY)).rejects.toMatchObject({
    code: 'try-later',
    message: expect.stringContaining(`process ${process.pid} of an earlier call`),
  });
  first?.release();
});

test('a released lock is free although a child has inherited it', async () => {
  const first = await guard();
  const child = start('/bin/sleep', ['60'], first?.fd);
  first?.started(child.pid);
  first?.release();
  (await guard(BRIEFLY))?.release();
  expect(child.exitCode ?? child.signalCode).toBeNull();
});

describe('the text of the file', () => {
  test.each([
    [
      'is of a dead holder before the one who locks now has written',
      async () => ({ writer: await deadProcess(), child: await deadProcess() }),
    ],
    [
      'names a group that is another process by now',
      async () => ({ writer: await deadProcess(), child: { pid: children[0]?.pid, startTime: '1' } }),
    ],
    [
      'names what must never be killed',
      async () => ({ writer: await deadProcess(), child: { pid: 1, startTime: '1' } }),
    ],
    ['is no object', async () => null],
  ])('that %s kills nobody', async (_name, textOf) => {
    const bystander = start('/bin/sleep', ['60']);
    write(await textOf());
    const other = await lockedByOther();
    await expect(guard(BRIEFLY)).rejects.toMatchObject({ code: 'try-later' });
    expect([other, bystander].map((child) => child.exitCode ?? child.signalCode)).toEqual([null, null]);
  });
});

test('a file that was removed between its opening and its locking is not taken for the lock', async () => {
  write({});
  const other = await lockedByOther();
  rmSync(path);
  const lock = tryLock(path);
  expect(lock).toBeDefined();
  expect(readLockHolders(path, process.pid)).toEqual([process.pid]);
  expect(readLockHolders(path, other.pid)).toEqual([]);
  lock?.remove();
});
