import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { InterfaceRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore, storeIsThere } from '../../pkg/state/open-node-store.ts';
import { deferRelease } from '../../pkg/state/spool.ts';
import { runCli } from './main.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'manifold-cli-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

async function run(...argv: string[]) {
  const output = { stdout: '', stderr: '' };
  const exitCode = await runCli(argv, {
    version: '1.2.3',
    env: {},
    openStore: (directory) => (storeIsThere(directory) ? openNodeStore(directory) : undefined),
    stdout: (text) => {
      output.stdout += text;
    },
    stderr: (text) => {
      output.stderr += text;
    },
  });
  return { exitCode, ...output };
}

function fill(store: NodeStore): void {
  const { writer } = store;
  const pod = { uid: 'u', namespace: 'default', name: 'web' };
  const common = { containerId: 'c0ffee0123456789', ifname: 'net1', pod, netns: '/run/netns/x', writer };
  store.attachments.put({
    ...common,
    position: 1,
    network: 'default/rail0',
    config: { name: 'rail0' },
    args: {},
    state: 'added',
    result: { cniVersion: '1.1.0', ips: [{ address: '10.2.0.1/24' }, { address: 'fd00::1/64' }] },
  });
  store.interfaces.put({
    ...common,
    network: 'rail0',
    plugin: 'macvlan',
    netnsId: '4:1',
    state: 'added',
    saved: {},
  });
  store.leases.put({
    ...common,
    domain: '',
    address: '10.2.0.1',
    network: 'rail0',
    owner: 'u',
    state: 'held',
    acquired: 1,
  });
  store.clusterLeases.claim({
    ...common,
    ifname: 'net2',
    name: 'blue.10.9.0.1',
    domain: 'blue',
    address: '10.9.0.1',
    subnet: '10.9.0.0/24',
    network: 'rail9',
    owner: 'u',
    state: 'releasing',
    acquired: 1,
    released: 2,
  });
}

test('version says the version', async () => {
  expect(await run('version')).toEqual({ exitCode: 0, stdout: 'manifold 1.2.3\n', stderr: '' });
});

test('status shows attachments, interfaces and addresses with their pod', async () => {
  const store = openNodeStore(stateDir);
  fill(store);
  store.close();
  const { exitCode, stdout } = await run('status', '--state-dir', stateDir, '--run-dir', stateDir);
  expect(exitCode).toBe(0);
  expect(stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' | '))).toEqual([
    'POD | INTERFACE | NETWORK | STATE | ADDRESSES | CONTAINER',
    'pod default/web | net1 | default/rail0 | added | 10.2.0.1/24,fd00::1/64 | c0ffee0123456',
    '',
    'POD | INTERFACE | NETWORK | PLUGIN | STATE | DEVICE',
    'pod default/web | net1 | rail0 | macvlan | added | -',
    '',
    'ADDRESS | NETWORK | DOMAIN | STORE | STATE | POD | INTERFACE',
    '10.2.0.1 | rail0 | - | node | held | pod default/web | net1',
    '10.9.0.1 | rail9 | blue | cluster | releasing | pod default/web | net2',
    '',
  ]);
});

describe('a record that cannot be read', () => {
  const broken =
    'broken: The record of interfaces {"container_id":"c0ffee0123456789","ifname":"net1","network":"rail0","pod_uid":"u","device":null} has a wrong shape: netnsId is no string.';
  const record = () =>
    openNodeStore(stateDir)
      .raw()
      .rows.find(({ table }) => table === 'interfaces')?.record;
  beforeEach(() => {
    const store = openNodeStore(stateDir);
    fill(store);
    for (const one of store.interfaces.all())
      store.interfaces.put({ ...one, netnsId: 7 } as unknown as InterfaceRecord);
    store.close();
  });

  test('is named by status, which shows all others', async () => {
    const { exitCode, stdout } = await run('status', '--state-dir', stateDir);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('10.2.0.1/24,fd00::1/64');
    expect(stdout).toContain('No interfaces.');
    expect(stdout).toContain('cluster  releasing');
    expect(stdout).toContain(`${broken}\n`);
    expect(stdout).toContain('"manifold check-state --help"');
  });

  test('is removed by check-state only when told twice, and what it was is printed', async () => {
    const text = record();
    const first = await run('check-state', '--remove-broken', '--state-dir', stateDir);
    expect(first.exitCode).toBe(1);
    expect(record()).toBe(text);
    const second = await run('check-state', '--remove-broken', '--yes', '--state-dir', stateDir);
    expect(second.exitCode).toBe(0);
    expect(record()).toBeUndefined();
    for (const [{ stdout }, end] of [
      [first, 'Nothing is removed yet: say --yes to remove 1 record.'],
      [second, 'Removed 1 record.'],
    ] as const)
      expect(stdout.trimEnd().split('\n')).toEqual([
        broken,
        `  record: ${text}`,
        '  without it: a device that was moved is not put back to what it was.',
        end,
      ]);
    expect(await run('status', '--state-dir', stateDir)).toMatchObject({ exitCode: 0 });
  });

  test('is the only thing that is removed', async () => {
    await run('check-state', '--remove-broken', '--yes', '--state-dir', stateDir);
    const again = await run('check-state', '--remove-broken', '--yes', '--state-dir', stateDir);
    expect(again).toMatchObject({
      exitCode: 0,
      stdout: 'No record is broken: there is nothing to remove.\n',
    });
    const store = openNodeStore(stateDir);
    expect(store.raw().rows.map(({ table }) => table)).toEqual(['attachments', 'leases', 'cluster_leases']);
    store.close();
  });

  test('stays when the file itself is damaged', async () => {
    const db = new DatabaseSync(join(stateDir, 'state.db'), { defensive: false });
    // An index that does not hold what its definition says.
    db.exec(
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'owner, ifname', 'ifname') WHERE name = 'leases_owner'",
    );
    db.close();
    const { exitCode, stdout } = await run(
      'check-state',
      '--remove-broken',
      '--yes',
      '--state-dir',
      stateDir,
    );
    expect(exitCode).toBe(1);
    expect(stdout).toContain('Nothing is removed: the file itself is damaged.');
    expect(record()).toBeDefined();
  });

  test('--yes alone is not understood', async () => {
    const { exitCode, stderr } = await run('check-state', '--yes', '--state-dir', stateDir);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('manifold --help'),
    });
  });
});

test('status of an empty node says that there is nothing', async () => {
  openNodeStore(stateDir).close();
  const { exitCode, stdout } = await run('status', '--state-dir', stateDir);
  expect({ exitCode, stdout }).toEqual({
    exitCode: 0,
    stdout: 'No attachments.\n\nNo interfaces.\n\nNo addresses.\n',
  });
});

test('check-state finds a sound store sound', async () => {
  openNodeStore(stateDir).close();
  const { exitCode, stdout } = await run('check-state', '--state-dir', stateDir);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `The state in ${stateDir} is sound.\n` });
});

test.each(['status', 'check-state'])('%s makes no store where there is none', async (command) => {
  const nowhere = join(stateDir, 'nowhere');
  for (const directory of [stateDir, nowhere]) {
    const { exitCode, stdout, stderr } = await run(command, '--state-dir', directory);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(`There is no store at ${directory}.\n`);
  }
  expect(readdirSync(stateDir)).toEqual([]);
});

test.each(['status', 'check-state'])('%s leaves deferred releases to others', async (command) => {
  const store = openNodeStore(stateDir);
  fill(store);
  store.close();
  deferRelease(stateDir, { stateDir, containerId: 'c0ffee0123456789', ifname: 'net1' }, 'disk full');
  const { stdout } = await run(command, '--state-dir', stateDir, '--run-dir', stateDir);
  expect(stdout).toContain(command === 'status' ? 'held' : 'was deferred and waits');
  expect(readdirSync(join(stateDir, 'released'))).toHaveLength(1);
});

test('check-state names a run directory that is none', async () => {
  openNodeStore(stateDir).close();
  const { exitCode, stdout } = await run('check-state', '--state-dir', stateDir, '--run-dir', '/dev/null');
  expect(exitCode).toBe(1);
  expect(stdout).toContain('broken: Cannot read deferred releases');
});

test.each([
  [['status', '--state-dir']],
  [['status', '--state-dir', '']],
  [['status', '--state-dir=']],
  [['status', '--state-dir', '--run-dir', '/x']],
  [['status', '--state-dir', '/x', '--state-dir', '/y']],
  [['check-state', '--run-dir']],
])('%j is not understood: a directory has to be named', async (argv) => {
  const { exitCode, stdout, stderr } = await run(...argv);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('manifold --help');
});

describe('names that steer a terminal', () => {
  const evil = '\u001b[2Jweb\r\n\u009b1m\u202e';
  const shown = '\\x1b[2Jweb\\x0d\\x0a\\x9b1m\\u202e';
  const steers = /[\p{Cc}\p{Cf}]/u;

  test.each(['status', 'check-state'])('are shown by %s as what they are', async (command) => {
    const store = openNodeStore(stateDir);
    fill(store);
    for (const record of store.interfaces.all())
      store.interfaces.put({
        ...record,
        containerId: 'c1',
        pod: { namespace: 'default', name: evil },
        state: 'adding',
        writer: { ...store.writer, bootId: 'earlier' },
      });
    store.close();
    const { stdout } = await run(command, '--state-dir', stateDir, '--run-dir', stateDir);
    expect(stdout).toContain(`pod default/${shown}`);
    expect(stdout.replaceAll('\n', '')).not.toMatch(steers);
  });

  test('are shown in errors as what they are', async () => {
    for (const argv of [['status', '--state-dir', `/${evil}`], [evil]]) {
      const { stderr } = await run(...argv);
      expect(stderr.replaceAll('\n', '')).not.toMatch(steers);
    }
  });
});

test('--help names every command', async () => {
  const { exitCode, stdout } = await run('--help');
  expect(exitCode).toBe(0);
  for (const word of ['version', 'status', 'check-state', '--state-dir']) expect(stdout).toContain(word);
});

test.each([[['stauts']], [['status', '--wrong']], [['status', 'version']]])(
  '%j is not understood, and help is named',
  async (argv) => {
    const { exitCode, stdout, stderr } = await run(...argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('manifold --help');
  },
);

test('a state directory that cannot be used is an error with advice, not a stack', async () => {
  const { exitCode, stderr } = await run('status', '--state-dir', '/proc/nothing/here');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('/proc/nothing/here');
  expect(stderr).not.toContain('    at ');
});
