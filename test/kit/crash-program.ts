// Bundles crash-entry.ts once a test file, so that a killed call costs what a real one costs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { NODE } from './test-node.ts';

export interface CrashProgram extends Disposable {
  /** The command that runs a program which dies at the step in MANIFOLD_TEST_KILL_AT. */
  command(program: string): readonly string[];
}

export function crashProgram(): CrashProgram {
  const directory = mkdtempSync(join(tmpdir(), 'manifold-crash-'));
  const file = bundle(join(import.meta.dirname, 'crash-entry.ts'), directory);
  return {
    command: (program) => [...NODE, file, program],
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}
