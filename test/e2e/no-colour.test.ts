// What people read is text without escape sequences: in a pipe, and on a terminal, whatever the environment asks for.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

const PROGRAM = new URL('../../meta/bin/manifold.ts', import.meta.url).pathname;
const stateDir = mkdtempSync(join(tmpdir(), 'manifold-colour-'));
beforeAll(() => openNodeStore(stateDir).close());
afterAll(() => rmSync(stateDir, { recursive: true, force: true }));

/** What the terminal of a child is asked to be, and what programs take for a wish for colour. */
const ENV = { TERM: 'xterm-256color', FORCE_COLOR: '1', CLICOLOR_FORCE: '1', COLORTERM: 'truecolor' };
const NODE = [execPath, '--disable-warning=ExperimentalWarning', PROGRAM];

const COMMANDS: readonly (readonly [string, RegExp, readonly string[]])[] = [
  ['the help', /manifold <command>/, ['--help']],
  ['a report', /attachments/, ['status', '--state-dir', stateDir]],
  ['a check', /./, ['check-state', '--state-dir', stateDir]],
  ['an error', /Cannot .*nowhere/, ['leases', '--kubeconfig', '/nowhere']],
  ['a command that is none', /./, ['statsu']],
];

test.each(COMMANDS)('%s has no escape sequences in a pipe', (_, words, argv) => {
  const { stdout, stderr } = spawnSync(execPath, [...NODE.slice(1), ...argv], { env: ENV, encoding: 'utf8' });
  expect(stdout + stderr).toMatch(words);
  expect(stdout + stderr).not.toContain('\u001b');
});

test.each(COMMANDS)('%s has no escape sequences on a terminal', (_, words, argv) => {
  const command = [...NODE, ...argv].map((word) => `'${word}'`).join(' ');
  const { stdout } = spawnSync('script', ['-qec', `test -t 1 && ${command}`, '/dev/null'], {
    env: { ...ENV, PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  expect(stdout).toMatch(words);
  expect(stdout).not.toContain('\u001b');
});
