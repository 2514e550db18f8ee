import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

const program = join(import.meta.dirname, '../../test/kit/echo-program.ts');
const ADD = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c',
  CNI_NETNS: '/ns',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/bin',
};

/** Runs the echo plugin behind a shell pipeline, so that its input and output are pipes and not Node's sockets. */
function run(shell: string, env: NodeJS.ProcessEnv, stdin: string) {
  const plugin = `${process.execPath} --disable-warning=ExperimentalWarning ${program}`;
  const child = spawn('/bin/sh', ['-c', shell.replaceAll('PLUGIN', plugin)], {
    env: { PATH: process.env.PATH, ...env },
    detached: true,
  });
  child.stdin.end(stdin);
  return child;
}

async function outputOf(child: ReturnType<typeof run>, pauseMs = 0): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return text;
}

test('a result far longer than a pipe holds is whole, however slowly it is read', async () => {
  const ips = Array.from({ length: 20_000 }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}/8` }));
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'net', answer: { ips } });
  const text = await outputOf(run('cat | PLUGIN | (sleep 0.2; cat)', ADD, config), 1);
  expect(JSON.parse(text)).toEqual({ cniVersion: '1.1.0', ips });
});

test('a reader that goes away is no failure of the call', async () => {
  const answer = { dns: { search: ['x'.repeat(300_000)] } };
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'net', answer });
  // The exit code of the plugin comes through descriptor 3, as its standard output leads nowhere.
  const text = await outputOf(run('{ cat | { PLUGIN; echo "exit $?" >&3; } | true; } 3>&1', ADD, config));
  expect(text).toBe('exit 0\n');
});

test('an answer that cannot be written is a failed call', async () => {
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'net' });
  const text = await outputOf(run('{ cat | { PLUGIN >/dev/full; echo "exit $?"; }; } 2>&1', ADD, config));
  expect(text).toContain('cannot write the answer');
  expect(text).toContain('exit 1\n');
});

test('VERSION does not wait for an input that never comes', async () => {
  const child = run('sleep 60 | PLUGIN', { CNI_COMMAND: 'VERSION' }, '');
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.endsWith('\n')) break;
  }
  // The sleeper too.
  process.kill(-Number(child.pid));
  expect(JSON.parse(text)).toMatchObject({ cniVersion: '1.1.0' });
});

test('VERSION answers in the version that comes through a pipe', async () => {
  const text = await outputOf(run('cat | PLUGIN', { CNI_COMMAND: 'VERSION' }, '{"cniVersion":"0.3.1"}'));
  expect(JSON.parse(text)).toMatchObject({ cniVersion: '0.3.1' });
});
