// Executables made for a test, in a directory of their own: small shell scripts under the names of plugins.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ScriptDirectory {
  readonly path: string;
  /** Writes an executable; returns its file. */
  add(name: string, script: string): string;
  remove(): void;
}

export function scriptDirectory(): ScriptDirectory {
  const path = mkdtempSync(join(tmpdir(), 'manifold-scripts-'));
  return {
    path,
    add(name, script) {
      const file = join(path, name);
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
