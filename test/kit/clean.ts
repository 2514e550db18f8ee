// What must hold after every test: the store's invariants, and no record left of what was deleted.
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'vitest';
import { checkState } from '../../pkg/state/check-state.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import type { TestNode } from './test-node.ts';

/** Every invariant of the store holds; nothing is attached, held or waiting any more. */
export function expectClean(node: TestNode): void {
  if (!existsSync(join(node.stateDir, 'state.db'))) return;
  const store = openNodeStore(node.stateDir, { runDirectory: node.runDir });
  try {
    expect(checkState(store).broken).toEqual([]);
    expect(store.attachments.all()).toEqual([]);
    expect(store.interfaces.all()).toEqual([]);
    expect(store.leases.all().filter((lease) => lease.state !== 'resting')).toEqual([]);
  } finally {
    store.close();
  }
}

/** What a node keeps without an attachment. (A long lock is an empty directory.) */
const KEPT = ['state.db', 'state.db-wal', 'state.db-shm'];

/** Nothing lies about in the state directory and the run directory: no draft, no cached result, no deferred release. */
export function expectNoFiles({ stateDir, runDir }: TestNode): void {
  const found = [stateDir, runDir].flatMap((directory) =>
    existsSync(directory) ? filesBelow(directory).map((file) => relative(directory, file)) : [],
  );
  expect(found.filter((file) => !KEPT.includes(file))).toEqual([]);
}

const filesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
