// A node's store and an API server of a few lines, new for each test; the store's invariants are walked after it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { KubeInMemory } from './kube-in-memory.ts';

export interface MemoryNode {
  /** Directory of the store. */
  readonly root: string;
  readonly node: NodeStore;
  readonly cluster: KubeInMemory;
}

/** @param use is given what the next test works with */
export function eachWithMemoryNode(use: (made: MemoryNode) => void): void {
  let made: MemoryNode;
  beforeEach(() => {
    const root = mkdtempSync(join(tmpdir(), 'manifold-memory-node-'));
    made = { root, node: openNodeStore(root), cluster: new KubeInMemory() };
    use(made);
  });
  afterEach(() => {
    expect(checkState(made.node).broken).toEqual([]);
    made.node.close();
    rmSync(made.root, { recursive: true });
  });
}
