// What the shipped files are made of, by esbuild's own account (dist/inputs.json), and that they need nothing else.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';
import { packagesIn, readInputs } from '../kit/bundle-inputs.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const inputs = readInputs();

function packagesOf(name: string, eager: boolean): string[] {
  const meta = inputs[name];
  if (meta === undefined)
    throw new Error(`Cannot find ${name} in dist/inputs.json: it has ${Object.keys(inputs)}`);
  return packagesIn(meta, eager);
}

const PLUGIN = ['ip-num', 'netlink', 'valibot'];

test.each([
  ['macvlan', PLUGIN],
  ['host-device', PLUGIN],
  ['sriov', PLUGIN],
  ['rdma', PLUGIN],
  ['manifold-ipam', PLUGIN],
  ['manifold', [...PLUGIN, 'yaml']],
  ['all', [...PLUGIN, 'yaml']],
  ['manifold-agent', PLUGIN],
])('%s loads at its start no other packages than it needs', (name, packages) => {
  expect(packagesOf(name, true)).toEqual(packages);
});

test.each(['macvlan', 'host-device', 'sriov', 'manifold-ipam', 'manifold', 'all'])(
  '%s does not hold yargs',
  (name) => {
    expect(packagesOf(name, false)).not.toContain('yargs');
  },
);

test('the command line for people holds yargs: the two tests above look in the right place', () => {
  expect(packagesOf('manifold-cli', true)).toContain('yargs');
});

test.each(Object.keys(inputs))('%s asks for no file and no native addon at run time', (name) => {
  const asked = Object.values(inputs[name]?.outputs ?? {}).flatMap((output) => output.imports);
  expect(asked.filter(({ path }) => !path.startsWith('node:')).map(({ path }) => path)).toEqual(
    // Written without "node:" by a library; built in all the same.
    expect.not.arrayContaining([expect.stringMatching(/[./]/)]),
  );
  const code = readFileSync(join(ROOT, 'dist/js', `${name === 'all' ? 'manifold' : name}.cjs`), 'utf8');
  // A native addon's name; `spec.node` is a field of a lease.
  expect(code.replaceAll('spec.node', '').match(/\.node\b['"`]/g)).toBeNull();
});

test('a built-in module is never taken whole: the snapshot could not hold it', () => {
  for (const name of ['macvlan', 'host-device', 'sriov', 'manifold-ipam', 'manifold'])
    expect(readFileSync(join(ROOT, 'dist/js', `${name}.cjs`), 'utf8')).not.toMatch(
      /[\w$]+\(require\("node:[\w/]+"\)(,1)?\)/,
    );
});

test.each(['macvlan', 'host-device', 'sriov', 'manifold-ipam', 'manifold'])(
  'the script %s.cjs runs by itself, away from the repository',
  (name) => {
    const directory = mkdtempSync(join(tmpdir(), 'manifold-script-'));
    try {
      const script = join(directory, `${name}.cjs`);
      copyFileSync(join(ROOT, 'dist/js', `${name}.cjs`), script);
      const answer = execFileSync(execPath, [script], {
        cwd: '/',
        env: { CNI_COMMAND: 'VERSION' },
        input: '',
      });
      expect(JSON.parse(answer.toString()).supportedVersions).toContain('1.1.0');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test('the agent runs by itself as a script, away from the repository, and is in no executable', () => {
  const directory = mkdtempSync(join(tmpdir(), 'manifold-script-'));
  try {
    const script = join(directory, 'agent.cjs');
    copyFileSync(join(ROOT, 'dist/js/manifold-agent.cjs'), script);
    const { stdout, stderr } = spawnSync(execPath, [script, '--help'], {
      cwd: '/',
      env: {},
      encoding: 'utf8',
    });
    expect(stdout).toContain('One process a node.');
    expect(stderr).toBe('');
    expect(packagesOf('manifold-agent', false)).not.toContain('yargs');
    expect(Object.keys(inputs.all?.inputs ?? {}).filter((file) => file.startsWith('meta/agent/'))).toEqual(
      [],
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the command line is found beside the script and inside the executable', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const script = spawnSync(execPath, [join(ROOT, 'dist/js/manifold.cjs'), 'version'], { encoding: 'utf8' });
  const executable = spawnSync(join(ROOT, 'dist/bin/manifold'), ['version'], { encoding: 'utf8', env: {} });
  expect([script.stdout, executable.stdout].join('')).toContain(version);
  expect(executable.stdout).toBe(script.stdout);
});

test('an error of the program is known to the command line, though it is a file of its own', () => {
  const command = ['check-state', '--state-dir', join(ROOT, 'package.json')];
  const script = spawnSync(execPath, [join(ROOT, 'dist/js/manifold.cjs'), ...command], { encoding: 'utf8' });
  const executable = spawnSync(join(ROOT, 'dist/bin/manifold'), command, { encoding: 'utf8', env: {} });
  for (const { status, stderr } of [script, executable]) {
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Cannot open .*package\.json.*\n.+\n$/);
  }
});

test('what is loaded on demand works in both forms: the lock that GC of manifold holds', () => {
  const directory = mkdtempSync(join(tmpdir(), 'manifold-gc-'));
  try {
    const input = JSON.stringify({
      cniVersion: '1.1.0',
      name: 'pods',
      type: 'manifold',
      delegates: [{ cniVersion: '1.1.0', name: 'rail', type: 'macvlan', master: 'none' }],
      manifold: { stateDir: directory, runDir: directory, networksDir: directory },
      'cni.dev/valid-attachments': [],
    });
    const env = { CNI_COMMAND: 'GC', CNI_PATH: join(ROOT, 'dist/bin') };
    const forms = [[execPath, join(ROOT, 'dist/js/manifold.cjs')], [join(ROOT, 'dist/bin/manifold')]];
    for (const [command = '', ...words] of forms) {
      const { status, stdout, stderr } = spawnSync(command, words, { env, input, encoding: 'utf8' });
      expect(status, stdout + stderr).toBe(0);
    }
    expect(packagesOf('manifold', false)).toContain('proper-lockfile');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
