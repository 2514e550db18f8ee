// The executables where nothing else is: no Node, no libraries, no shell, no environment, nothing to write to.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { arch, execPath } from 'node:process';
import { afterEach, beforeEach, expect, onTestFailed, test } from 'vitest';
import { DROP_INS, PROGRAMS } from '../../build/bundle.ts';
import { arm64Emulator } from '../../build/target.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const BIN = join(ROOT, 'dist/bin');
const VERSION = { CNI_COMMAND: 'VERSION' };

let directory: string;

beforeEach(() => {
  // Beside dist/bin, so that a link will do where a copy would be 160 MB.
  directory = mkdtempSync(join(ROOT, 'dist/test-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a command in an empty root directory with nothing but /proc, in a mount namespace of its own. */
function runInEmptyRoot(...command: string[]) {
  mkdirSync(join(directory, 'proc'));
  const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  return runShown('unshare', ['--mount', 'sh', '-c', script, directory, ...command], VERSION);
}

function runShown(command: string, args: string[], env: Record<string, string>) {
  const path = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const run = spawnSync(command, args, { encoding: 'utf8', env: { ...path, ...env }, input: '' });
  onTestFailed(() => console.error(run.error ?? '', run.stdout, run.stderr));
  return run;
}

const versionsIn = (stdout: string) => JSON.parse(stdout).supportedVersions;

test('the executables are one file under several names', () => {
  const files = PROGRAMS.map((name) => statSync(join(BIN, name)));
  expect(new Set(files.map(({ ino }) => ino)).size).toBe(1);
});

test.each(PROGRAMS)('%s answers under its own name, as a hard link and as a symbolic one', (name) => {
  symlinkSync(join(BIN, 'manifold'), join(directory, name));
  for (const file of [join(BIN, name), join(directory, name)])
    expect(runShown(file, [], {}).stderr).toMatch(new RegExp(`^${name}: `));
});

test.each(DROP_INS)('the executable answers to the name %s, under which it is not installed', (name) => {
  expect(readdirSync(BIN)).not.toContain(name);
  linkSync(join(BIN, 'manifold'), join(directory, name));
  expect(runShown(join(directory, name), [], {}).stderr).toMatch(new RegExp(`^${name}: `));
});

test.each(PROGRAMS)('%s runs in an empty root directory', (name) => {
  linkSync(join(BIN, name), join(directory, name));
  const { status, stdout } = runInEmptyRoot(`/${name}`);
  expect(status).toBe(0);
  expect(versionsIn(stdout)).toContain('1.1.0');
  expect(readdirSync(directory).sort()).toEqual([name, 'proc'].sort());
});

test('a program without the libraries does not: the root directory of the test above is empty', () => {
  copyFileSync(execPath, join(directory, 'node'));
  const { status } = runInEmptyRoot('/node', '--version');
  expect(status).not.toBe(0);
});

test('without /proc it says what is missing', () => {
  linkSync(join(BIN, 'macvlan'), join(directory, 'macvlan'));
  const { status, stderr } = runShown('chroot', [directory, '/macvlan'], VERSION);
  expect(status).toBe(127);
  expect(stderr).toMatch(/^Cannot start: .*\/proc/);
});

test('it runs from a read-only file system, with no writable directory anywhere', () => {
  linkSync(join(BIN, 'macvlan'), join(directory, 'macvlan'));
  const script =
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/x" 2>/dev/null && exec "$0/macvlan"';
  const { status, stdout } = runShown('unshare', ['--mount', 'sh', '-c', script, directory], VERSION);
  expect(status).toBe(0);
  expect(versionsIn(stdout)).toContain('1.1.0');
});

test('it needs no environment', () => {
  const { status, stderr } = spawnSync(join(BIN, 'macvlan'), [], { encoding: 'utf8', env: {}, cwd: '/' });
  expect(status).toBe(0);
  expect(stderr).toContain('macvlan');
});

test('options of Node in the environment of the runtime do not reach it', () => {
  const env = { ...VERSION, NODE_OPTIONS: '--require /no/such/file.js' };
  expect(runShown(join(BIN, 'macvlan'), [], env).status).toBe(0);
});

test('it can be replaced while it runs, and the call that runs is answered', async () => {
  const file = join(directory, 'macvlan');
  linkSync(join(BIN, 'macvlan'), file);
  const env = { CNI_COMMAND: 'STATUS', CNI_PATH: directory };
  const running: ChildProcess = spawn(file, [], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  running.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(running, 'spawn');
  linkSync(join(BIN, 'manifold'), join(directory, 'new'));
  renameSync(join(directory, 'new'), file);
  running.stdin?.end('{"cniVersion":"1.1.0","name":"n","type":"macvlan","master":"no-such-link-here"}');
  const [code] = await once(running, 'close');
  expect(code).toBe(1);
  expect(JSON.parse(Buffer.concat(chunks).toString()).msg).toContain('no-such-link-here');
});

// Emulation needs its time: 20 seconds on a quiet machine.
test('the executables for arm64 run in an empty root directory', () => {
  const build = ['build/main.ts', '--arch', 'arm64'];
  execFileSync(execPath, build, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  linkSync(
    join(ROOT, arch === 'arm64' ? 'dist/bin/macvlan' : 'dist/bin-arm64/macvlan'),
    join(directory, 'macvlan'),
  );
  if (arch !== 'arm64') copyFileSync(arm64Emulator(), join(directory, 'qemu'));
  const { status, stdout } = runInEmptyRoot(...(arch === 'arm64' ? ['/macvlan'] : ['/qemu', '/macvlan']));
  expect(status).toBe(0);
  expect(versionsIn(stdout)).toContain('1.1.0');
}, 300_000);
