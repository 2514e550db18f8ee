// Assembles start/*.s with Debian's binutils, unpacked into the cache. Only for writing and checking start-code.ts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianTree } from './debian.ts';
import type { Architecture } from './target.ts';

const PREFIX = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

/** @returns the machine code, without any headers */
export function assembleStart(arch: Architecture): Buffer {
  const tree = debianTree('binutils', [
    'binutils-x86-64-linux-gnu:amd64',
    'binutils-aarch64-linux-gnu:amd64',
    'libbinutils:amd64',
  ]);
  const directory = mkdtempSync(join(tmpdir(), 'manifold-assemble-'));
  try {
    const source = new URL(`start/${arch}.s`, import.meta.url).pathname;
    const [object, code] = [join(directory, 'start.o'), join(directory, 'start.bin')];
    const run = (tool: string, args: string[]) =>
      execFileSync(join(tree, 'usr/bin', `${PREFIX[arch]}-${tool}`), args, {
        env: { LD_LIBRARY_PATH: join(tree, 'usr/lib/x86_64-linux-gnu') },
      });
    run('as', ['-o', object, source]);
    run('objcopy', ['-O', 'binary', '-j', '.text', object, code]);
    return readFileSync(code);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
