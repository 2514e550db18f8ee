import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeStateFile } from './make-state-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-make-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('making the store removes what a process left that died while it made it, and nothing else', () => {
  const { pid: dead } = spawnSync('/bin/true');
  const live = `state.db.new-${process.pid}-1`;
  for (const name of [`state.db.new-${dead}-1`, live, 'state.db.newer'])
    writeFileSync(join(directory, name), '');
  makeStateFile(directory, join(directory, 'state.db'));
  expect(readdirSync(directory).sort()).toEqual(['state.db', live, 'state.db.newer']);
});
