import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ManifoldError } from '../errors/manifold-error.ts';
import { createLogger } from '../log/logger.ts';
import { checkState } from './check-state.ts';
import type { ClusterLeaseRecord, NodeStore } from './node-store.ts';
import { openNodeStore } from './open-node-store.ts';
import { applyDeferred, deferRelease, deferredReleases, type ReleaseIntent } from './spool.ts';

let root: string;
let runDirectory: string;
let stateDirectory: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-spool-'));
  runDirectory = join(root, 'run');
  stateDirectory = join(root, 'state');
  const store = openNodeStore(stateDirectory);
  for (const [containerId, address] of [
    ['c1', '10.0.0.1'],
    ['c2', '10.0.0.2'],
  ] as const)
    record(store, containerId, address);
  store.close();
});

afterEach(() => {
  const store = openNodeStore(stateDirectory);
  expect(checkState(store).broken).toEqual([]);
  store.close();
  rmSync(root, { recursive: true });
});

function record(store: NodeStore, containerId: string, address: string): void {
  const id = { containerId, ifname: 'net1', network: 'rail0', pod: {}, netns: '/n', writer: store.writer };
  store.leases.put({ ...id, domain: '', address, owner: containerId, state: 'held', acquired: 1000 });
  store.interfaces.put({ ...id, plugin: 'macvlan', netnsId: '4:1', state: 'added', saved: {} });
  store.attachments.put({ ...id, network: 'a/rail0', position: 1, config: {}, args: {}, state: 'added' });
}

/** With an API server whose clock is ahead: its times are later than the DEL. */
function claimOfCluster(store: NodeStore, address: string, change: Partial<ClusterLeaseRecord>): void {
  store.clusterLeases.claim({
    ...{ containerId: 'c1', ifname: 'net1', network: 'rail0', pod: {}, netns: '/n', writer: store.writer },
    ...{ name: address, domain: '', address, subnet: '10.9.0.0/24', owner: 'u1', state: 'held' },
    acquired: Date.now() + 3_600_000,
    object: { uid: 'o1', resourceVersion: '7' },
    ...change,
  });
}

/** What each container has, after the store was opened with the run directory. */
function left(): Record<string, string[]> {
  const store = openNodeStore(stateDirectory, { runDirectory });
  const kinds = (containerId: string) => [
    ...store.leases.ofContainer(containerId).map((lease) => lease.state),
    ...store.interfaces.all().flatMap((one) => (one.containerId === containerId ? ['interface'] : [])),
    ...store.attachments.ofContainer(containerId).map(() => 'attachment'),
  ];
  const found = { c1: kinds('c1'), c2: kinds('c2') };
  store.close();
  return found;
}

const all = ['held', 'interface', 'attachment'];

test('the draft of a release whose process died goes when the next is deferred, and when they are carried out', () => {
  const directory = join(runDirectory, 'released');
  const defer = () =>
    deferRelease(runDirectory, { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1' }, 'disk full');
  const drafts = () => readdirSync(directory).filter((name) => name.startsWith('.'));
  const write = (pid: number) => {
    const name = `.0000000000001000-${pid}-1`;
    writeFileSync(join(directory, name), '{"cont');
    return name;
  };
  const dead = spawnSync('/bin/true').pid;
  mkdirSync(directory, { recursive: true });
  const live = write(process.pid);
  write(dead);
  defer();
  expect(drafts()).toEqual([live]);
  write(dead);
  left();
  expect(drafts()).toEqual([live]);
});

test('a deferred release is carried out by the next store that is opened, once, and for its container alone', () => {
  deferRelease(runDirectory, { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1' }, 'disk full');
  expect(deferredReleases(runDirectory)).toMatchObject([{ containerId: 'c1', ifname: 'net1' }]);
  expect(left()).toEqual({ c1: ['resting'], c2: all });
  expect(readdirSync(join(runDirectory, 'released'))).toEqual([]);
});

test.each([
  ['leases', { c1: ['resting', 'interface', 'attachment'], c2: all }],
  ['interfaces', { c1: ['held', 'attachment'], c2: all }],
  ['attachments', { c1: ['held', 'interface'], c2: all }],
] as const)('only %s are released when only they are named', (only, expected) => {
  deferRelease(
    runDirectory,
    { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1', only },
    'disk full',
  );
  expect(left()).toEqual(expected);
});

test('another interface or another network of the container is left alone', () => {
  deferRelease(runDirectory, { stateDir: stateDirectory, containerId: 'c1', ifname: 'net2' }, 'disk full');
  deferRelease(
    runDirectory,
    { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1', network: 'rail9', only: 'leases' },
    'disk full',
  );
  expect(left()).toEqual({ c1: all, c2: all });
});

test('the release of an unknown container is done with', () => {
  deferRelease(runDirectory, { stateDir: stateDirectory, containerId: 'gone', ifname: 'net1' }, 'disk full');
  expect(left()).toEqual({ c1: all, c2: all });
  expect(deferredReleases(runDirectory)).toEqual([]);
});

test('a lease acquired after the DEL that could not be written stays', () => {
  deferRelease(
    runDirectory,
    { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1', only: 'leases' },
    'disk full',
    999,
  );
  expect(left()).toEqual({ c1: all, c2: all });
});

test('applied a second time, as after a crash between commit and removal, it changes nothing', () => {
  const intent = { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1' };
  deferRelease(runDirectory, intent, 'disk full', 5000);
  const once = left();
  deferRelease(runDirectory, intent, 'disk full', 5000);
  expect(left()).toEqual(once);
});

test('many of one moment are kept apart', () => {
  for (let i = 0; i < 50; i++)
    deferRelease(runDirectory, { stateDir: stateDirectory, containerId: `x${i}`, ifname: 'net1' }, 'full', 1);
  const store = openNodeStore(stateDirectory);
  expect(applyDeferred(store, runDirectory)).toBe(50);
  store.close();
});

test('a file torn by power loss, or half written, stops nobody', () => {
  mkdirSync(join(runDirectory, 'released'), { recursive: true });
  writeFileSync(join(runDirectory, 'released/0-1-1.json'), '{"containerId":');
  writeFileSync(join(runDirectory, 'released/.0-1-2'), '{"conta');
  expect(left()).toEqual({ c1: all, c2: all });
});

test('when it cannot be written down either, the caller is told to repeat', () => {
  writeFileSync(runDirectory, 'a file');
  let error: unknown;
  try {
    deferRelease(
      runDirectory,
      { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1' },
      'the disk is full',
    );
  } catch (thrown) {
    error = thrown;
  }
  const { code, message, hint } = error as ManifoldError;
  expect(code).toBe('try-later');
  expect(message).toContain('Cannot release c1 net1: neither the store nor');
  expect(hint).toContain('the disk is full');
  rmSync(runDirectory);
});

describe('a run directory that cannot be used', () => {
  const unusable: [string, () => void][] = [
    ['a file', () => writeFileSync(runDirectory, '')],
    [
      'under a file',
      () => {
        writeFileSync(join(root, 'file'), '');
        runDirectory = join(root, 'file', 'run');
      },
    ],
    ['a link to itself', () => symlinkSync(runDirectory, runDirectory)],
    [
      'named too long',
      () => {
        runDirectory = join(root, 'x'.repeat(300));
      },
    ],
  ];
  test.each(unusable)('(%s) keeps no DEL from the store, and STATUS names it', (_, make) => {
    make();
    const lines: string[] = [];
    const log = createLogger({ level: 'warn', sink: (line) => lines.push(line) });
    const store = openNodeStore(stateDirectory, { runDirectory, log });
    expect(lines.join()).toContain(`${runDirectory}/released`);
    store.leases.remove('', '10.0.0.1');
    expect(() => store.ensureWritable()).toThrow(
      `Cannot read deferred releases: the run directory cannot be used (${runDirectory}/released: E`,
    );
    store.close();
  });
});

test('what is no release is left where it is, and the others are carried out', () => {
  deferRelease(runDirectory, { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1' }, 'disk full');
  const spool = join(runDirectory, 'released');
  mkdirSync(join(spool, 'd.json'));
  execFileSync('mkfifo', [join(spool, 'f.json')]);
  writeFileSync(join(spool, 'null.json'), 'null');
  expect(left()).toEqual({ c1: ['resting'], c2: all });
  expect(readdirSync(spool).sort()).toEqual(['d.json', 'f.json']);
});

describe('leases of the cluster', () => {
  const releaseOf = (intent: Omit<ReleaseIntent, 'containerId' | 'ifname'>, time?: number) =>
    deferRelease(
      runDirectory,
      { stateDir: stateDirectory, containerId: 'c1', ifname: 'net1', ...intent },
      'disk full',
      time,
    );
  const claim = (address: string, change: Partial<ClusterLeaseRecord> = {}) => {
    const store = openNodeStore(stateDirectory);
    claimOfCluster(store, address, change);
    store.close();
  };
  /** After the next store was opened. */
  const states = (): string[] => {
    const store = openNodeStore(stateDirectory, { runDirectory });
    const found = store.clusterLeases.all().map(({ state, released = '-' }) => `${state} ${released}`);
    store.close();
    return found;
  };

  test.each(['claiming', 'claimed', 'held'] as const)(
    'that are %s wait for their end, since the DEL',
    (state) => {
      claim('10.9.0.1', { state });
      releaseOf({ only: 'leases' }, 5000);
      expect(states()).toEqual(['releasing 5000']);
    },
  );

  test('keep what is known of their object', () => {
    claim('10.9.0.1');
    releaseOf({});
    states();
    const store = openNodeStore(stateDirectory);
    expect(store.clusterLeases.inState('releasing')).toMatchObject([
      { object: { uid: 'o1', resourceVersion: '7' } },
    ]);
    store.close();
  });

  test('that have ended, or are ending, stay as they are', () => {
    claim('10.9.0.1', { state: 'releasing', released: 1 });
    claim('10.9.0.2', { state: 'resting', released: 2, until: 3 });
    releaseOf({ only: 'leases' }, 5000);
    expect(states()).toEqual(['releasing 1', 'resting 2']);
  });

  test('of another container, interface or network, or where others alone are released, stay', () => {
    claim('10.9.0.1', { containerId: 'c2' });
    claim('10.9.0.2', { ifname: 'net2' });
    claim('10.9.0.3', { network: 'rail1' });
    releaseOf({ network: 'rail0', only: 'leases' });
    releaseOf({ only: 'interfaces' });
    releaseOf({ only: 'attachments' });
    expect(states()).toEqual(['held -', 'held -', 'held -']);
  });

  test('that an ADD claims which began after the DEL stay, whatever the clocks say', () => {
    const store = openNodeStore(stateDirectory);
    const { writer } = store;
    const later = { ...writer, startTime: `${Number(writer.startTime) + 1}` };
    claimOfCluster(store, '10.9.0.1', { writer: later });
    claimOfCluster(store, '10.9.0.2', { writer: { ...later, bootId: 'earlier' } });
    store.close();
    releaseOf({ only: 'leases' }, 5000);
    expect(states()).toEqual(['held -', 'releasing 5000']);
  });
});

describe('a run directory of several stores', () => {
  const other = () => join(root, 'other');

  test('a release waits for the store that it was meant for', () => {
    const store = openNodeStore(other());
    record(store, 'c1', '10.0.0.9');
    store.close();
    deferRelease(runDirectory, { stateDir: other(), containerId: 'c1', ifname: 'net1' }, 'disk full');
    expect(left()).toEqual({ c1: all, c2: all });
    expect(readdirSync(join(runDirectory, 'released'))).toHaveLength(1);
    const opened = openNodeStore(other(), { runDirectory });
    expect(opened.leases.all().map(({ state }) => state)).toEqual(['resting']);
    opened.close();
    expect(readdirSync(join(runDirectory, 'released'))).toEqual([]);
  });

  test('the store is known under another spelling and through a link', () => {
    symlinkSync(stateDirectory, other());
    deferRelease(
      runDirectory,
      { stateDir: `${other()}/../other/`, containerId: 'c1', ifname: 'net1' },
      'disk full',
    );
    expect(left()).toEqual({ c1: ['resting'], c2: all });
  });

  test('a release of an earlier version, which names no store, is of any', () => {
    mkdirSync(join(runDirectory, 'released'), { recursive: true });
    const intent = { containerId: 'c1', ifname: 'net1', time: 5000, reason: 'disk full' };
    writeFileSync(join(runDirectory, 'released/0000000000005000-1-1.json'), JSON.stringify(intent));
    expect(left()).toEqual({ c1: ['resting'], c2: all });
  });
});
