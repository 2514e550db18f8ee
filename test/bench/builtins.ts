// Which of Node's own modules a call brings in beyond those of an empty script: each costs time at every call.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from './child.ts';

const LISTER = `const before = new Set(process.moduleLoadList);
process.on('exit', () => {
  const loaded = process.moduleLoadList.filter((name) => !before.has(name));
  require('fs').writeSync(2, '\\nloaded ' + JSON.stringify(loaded) + '\\n');
});`;

/** @param command Node running a script. @returns public names, sorted; and how many internal ones came with them */
export function listBuiltins({ words, env, stdin }: Command): { names: string[]; internal: number } {
  const directory = mkdtempSync(join(tmpdir(), 'manifold-builtins-'));
  try {
    const lister = join(directory, 'lister.cjs');
    writeFileSync(lister, LISTER);
    const [node = '', ...rest] = words;
    const { status, stderr } = spawnSync(node, ['--require', lister, ...rest], {
      env: { ...env },
      input: stdin,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`Cannot list the built-in modules of ${words.join(' ')}: ${stderr}`);
    const loaded = JSON.parse(/^loaded (.*)$/m.exec(stderr)?.[1] ?? '[]') as string[];
    const modules = loaded.flatMap((name) => /^NativeModule (.*)$/.exec(name)?.[1] ?? []);
    const names = modules.filter((name) => !name.startsWith('internal/'));
    return { names: names.sort(), internal: modules.length - names.length };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
