import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptDirectory, scriptDirectory } from '../../test/kit/script-plugins.ts';
import { execPlugin, findPlugin } from './exec-plugin.ts';

let scripts: ScriptDirectory;
beforeAll(() => {
  scripts = scriptDirectory();
});
afterAll(() => scripts.remove());

const run = (script: string, stdin = '{}', timeoutMs = 20_000) => {
  const file = scripts.add(`plugin-${Math.random().toString(36).slice(2)}`, script);
  return execPlugin(file, { env: { PATH: process.env.PATH, CNI_COMMAND: 'ADD' }, stdin, timeoutMs });
};

const gone = (pid: number): boolean => {
  try {
    // A zombie that nobody has waited for yet is gone too.
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true; // no such process
  }
};

describe('finding a plugin', () => {
  test('takes the first directory of CNI_PATH that has a file of that name', () => {
    scripts.add('found', 'exit 0');
    mkdirSync(join(scripts.path, 'empty/found'), { recursive: true });
    const path = ['/nowhere', join(scripts.path, 'empty'), scripts.path];
    expect(findPlugin('found', path)).toBe(join(scripts.path, 'found'));
  });

  test('says where it looked when there is none', () => {
    expect(() => findPlugin('lost', ['/nowhere', '/no'])).toThrow(
      "Cannot find plugin 'lost': no such file in CNI_PATH (/nowhere:/no)",
    );
  });
});

describe('running a plugin', () => {
  test('gives it the environment and the input, and takes what it prints', async () => {
    const outcome = await run('cat; echo "$CNI_COMMAND" >&2; exit 3', '{"a":1}');
    expect(outcome).toEqual({ end: { by: 'exit', code: 3 }, stdout: '{"a":1}', stderr: 'ADD\n' });
  });

  test('accepts one that does not read its input', async () => {
    const outcome = await run('exec <&-; echo done', 'x'.repeat(1_000_000));
    expect(outcome).toMatchObject({ end: { by: 'exit', code: 0 }, stdout: 'done\n' });
  });

  test('keeps the end of what it writes on standard error', async () => {
    const { stderr } = await run('head -c 100000 /dev/zero | tr "\\0" x >&2; echo last >&2');
    expect(stderr).toHaveLength(4096);
    expect(stderr.endsWith('xlast\n')).toBe(true);
  });

  test('stops one that prints without end', async () => {
    expect((await run('yes')).end).toMatchObject({ by: 'flood' });
  });

  test('says which signal killed it', async () => {
    expect((await run('kill -SEGV $$')).end).toEqual({ by: 'signal', signal: 'SIGSEGV' });
  });

  test('kills it with all that it started when its time is over', async () => {
    const outcome = await run('sleep 1000 & echo $! >&2; wait', '{}', 300);
    expect(outcome.end).toEqual({ by: 'timeout', afterMs: 300 });
    const pid = Number(outcome.stderr);
    for (let tries = 0; tries < 100 && !gone(pid); tries++) await sleep(20);
    expect(gone(pid)).toBe(true);
  });

  test('does not wait for a process that a plugin left behind with its output open', async () => {
    const outcome = await run('sleep 30 & echo $! ; exit 0', '{}', 20_000);
    expect(outcome.end).toEqual({ by: 'exit', code: 0 });
    process.kill(Number(outcome.stdout), 'SIGKILL');
  });

  test('tries again while somebody writes the file', async () => {
    const copy = join(scripts.path, 'busy-true');
    copyFileSync('/bin/true', copy);
    const fd = openSync(copy, 'r+');
    const running = execPlugin(copy, { env: {}, stdin: '', timeoutMs: 20_000 });
    await sleep(150);
    closeSync(fd);
    expect((await running).end).toEqual({ by: 'exit', code: 0 });
  });

  test('says so when the file cannot be started', async () => {
    const file = scripts.add('broken', '');
    writeFileSync(file, '#!/no/such/interpreter\n');
    await expect(execPlugin(file, { env: {}, stdin: '', timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'delegate',
      message: expect.stringContaining(`Cannot start plugin ${file}`),
    });
  });
});
