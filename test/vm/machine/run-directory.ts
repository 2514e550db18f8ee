// A run's files, which go away with the process that made them, even when it is killed: a shell waits for its end.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RunDirectory extends Disposable {
  readonly path: string;
}

export function makeRunDirectory(): RunDirectory {
  const path = mkdtempSync(join(tmpdir(), 'manifold-vm-'));
  // Its standard input ends when this process does. A session of its own: an interrupt of the terminal spares it.
  const janitor = spawn('/bin/sh', ['-c', 'read -r line; rm -rf "$1"', 'sh', path], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  janitor.unref();
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
      janitor.stdin.end();
    },
  };
}
