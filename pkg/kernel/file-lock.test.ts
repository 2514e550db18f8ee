import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { whileLocked } from './file-lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('what is at a path, a directory too, is locked as long as the work takes, and free after a failure', () => {
  const inside = () => whileLocked(directory, 30, () => 'inside');
  expect(() => whileLocked(directory, 30, inside)).toThrow(/somebody has held it for 30 ms/);
  expect(inside()).toBe('inside');
});
