// What must hold after every test: the store's invariants, and no record left of what was deleted.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
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
