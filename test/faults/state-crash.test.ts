import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkState } from '../../pkg/state/check-state.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { bundle } from '../kit/bundle.ts';

let bundles: string;
let program: string;
beforeAll(() => {
  bundles = mkdtempSync(join(tmpdir(), 'manifold-bundle-'));
  program = bundle(new URL('./state-writer.ts', import.meta.url).pathname, bundles);
});
afterAll(() => rmSync(bundles, { recursive: true }));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-crash-'));
});
afterEach(() => rmSync(root, { recursive: true }));

interface Writer {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** Last number that it said was committed, -1 for none. */
  committed(): number;
  complaint(): string;
}

function writer(directory: string, name: string, times = 0): Writer {
  const child = spawn(execPath, [
    '--disable-warning=ExperimentalWarning',
    program,
    directory,
    name,
    String(times),
  ]);
  let said = '';
  let complaint = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  return {
    child,
    ended: once(child, 'close'),
    committed: () => Number(said.split('\n').at(-2) ?? -1),
    complaint: () => complaint,
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every container has its four records or none; what was said to be committed is there. */
function expectWhole(directory: string, writers: ReadonlyMap<string, number>): void {
  const store = openNodeStore(directory);
  expect(checkState(store).broken).toEqual([]);
  const parts = new Map<string, number>();
  const records = [...store.leases.all(), ...store.interfaces.all(), ...store.attachments.all()];
  for (const { containerId } of records) parts.set(containerId, (parts.get(containerId) ?? 0) + 1);
  expect([...parts].filter(([, count]) => count !== 4)).toEqual([]);
  for (const [name, committed] of writers)
    for (let number = 0; number <= committed; number++) {
      // The second of each three is removed again by the third: gone, or still there when the kill came before.
      if (number % 3 !== 1 || number > committed - 1) expect(parts.has(`${name}-${number}`)).toBe(true);
      else if (number + 1 < committed) expect(parts.has(`${name}-${number}`)).toBe(false);
    }
  store.close();
}

test('200 writers of one store are killed at random moments, four at a time: nothing is torn, nothing committed is lost', async () => {
  const directory = join(root, 'store');
  const committed = new Map<string, number>();
  for (let round = 0; round < 50; round++) {
    const writers = Array.from({ length: 4 }, (_, i) => writer(directory, `w${round * 4 + i}`));
    await Promise.all(
      writers.map(async (one, i) => {
        if (round % 5 > 0) await once(one.child.stdout ?? one.child, 'data');
        await pause(Math.random() * 40);
        one.child.kill('SIGKILL');
        await one.ended;
        expect(one.complaint()).toBe('');
        committed.set(`w${round * 4 + i}`, one.committed());
      }),
    );
    if (round % 10 === 9) expectWhole(directory, committed);
  }
  expect(Math.max(...committed.values())).toBeGreaterThan(0);
  expectWhole(directory, committed);
});

test('killed while it makes the store, a process leaves none or a whole one', async () => {
  let made = 0;
  for (let i = 0; i < 40; i++) {
    const directory = join(root, `store${i}`);
    const one = writer(directory, 'w1');
    // Until the directory is there: then the file is being made.
    while (!existsSync(directory)) await pause(1);
    // Some die at once after it, most somewhere before.
    while (i % 4 === 3 && !existsSync(join(directory, 'state.db'))) await pause(1);
    await pause(i % 4 === 3 ? 0 : Math.random() * 8);
    one.child.kill('SIGKILL');
    await one.ended;
    if (readdirSync(directory).includes('state.db')) made++;
    expectWhole(directory, new Map([['w1', one.committed()]]));
  }
  expect(made).toBeGreaterThan(0);
});

test('64 processes at once make one store and each write to it', async () => {
  const directory = join(root, 'store');
  const writers = Array.from({ length: 64 }, (_, i) => writer(directory, `w${i}`, 3));
  await Promise.all(writers.map((one) => one.ended));
  expect(writers.map((one) => one.complaint()).filter((text) => text !== '')).toEqual([]);
  expectWhole(directory, new Map(writers.map((one, i) => [`w${i}`, one.committed()])));
  expect(writers.map((one) => one.committed())).toEqual(writers.map(() => 2));
  expect(readdirSync(directory).sort()).toEqual(['state.db']);
});
