// Bundles crash-entry.ts once a run, so that a killed call costs what a real one costs.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { NODE } from './test-node.ts';

/** @returns the command that runs a program which dies at the step in MANIFOLD_TEST_KILL_AT */
export async function crashProgram(): Promise<(name: string) => readonly string[]> {
  const outfile = join(mkdtempSync(join(tmpdir(), 'manifold-crash-')), 'crash.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'crash-entry.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    outfile,
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return (name) => [...NODE, outfile, name];
}
