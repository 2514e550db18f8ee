import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isManifoldError, type ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { deferRelease } from '../../pkg/state/spool.ts';
import { plug } from './state-records.ts';

const STATE_WRITER = new URL('./state-writer.ts', import.meta.url).pathname;

let root: string;
let mounts: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-fs-'));
  mounts = [];
});
afterEach(() => {
  for (const mount of mounts.reverse()) execFileSync('umount', ['-l', mount]);
  rmSync(root, { recursive: true });
});

function mount(name: string, ...words: string[]): string {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  execFileSync('mount', [...words, path]);
  mounts.push(path);
  return path;
}

function failure(work: () => unknown): ManifoldError {
  try {
    work();
  } catch (error) {
    if (isManifoldError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Takes all space of a file system but about this much. */
function fill(mounted: string, leaveBytes = 0): string {
  const path = join(mounted, 'filler');
  const { bavail, bsize } = statfsSync(mounted);
  writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  return path;
}

const addresses = (store: NodeStore) => store.leases.all().map((lease) => lease.address);
/** What plug() gives writer w1's first container. */
const first = ['10.0.1.0', 'fd00::100'];

describe('a full file system', () => {
  let small: string;
  let directory: string;
  beforeEach(() => {
    small = mount('small', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs');
    directory = join(small, 'store');
  });

  test('a write fails whole and says so, reading goes on, and it works again when there is room', () => {
    const store = openNodeStore(directory);
    plug(store, 'w1', 0);
    const filler = fill(small);
    const error = failure(() => {
      for (let i = 1; i < 50; i++) plug(store, 'w1', i);
    });
    expect(error.code).toBe('state');
    expect(error.message).toContain("Cannot write the node's store: no space is left on its file system");
    expect(error.message).toContain(join(directory, 'state.db'));
    expect(addresses(store)).toEqual(expect.arrayContaining(first));
    expect(checkState(store).broken).toEqual([]);
    rmSync(filler);
    plug(store, 'w1', 60);
    expect(store.attachments.ofContainer('w1-60')).toHaveLength(1);
    store.close();
  });

  test('a store that was closed can be opened and read, and says why it cannot be written', () => {
    const before = openNodeStore(directory);
    plug(before, 'w1', 0);
    before.close();
    fill(small);
    const store = openNodeStore(directory);
    expect(addresses(store)).toEqual(first);
    expect(failure(() => store.ensureWritable()).message).toContain('no space is left');
    expect(checkState(store).broken).toEqual([]);
    store.close();
  });

  test('a store whose last process was killed can be opened and read, log and all', () => {
    spawnSync(execPath, [STATE_WRITER, directory, 'w1', '1']);
    expect(readdirSync(directory)).toContain('state.db-wal');
    fill(small);
    const store = openNodeStore(directory);
    expect(addresses(store)).toEqual(first);
    store.close();
  });

  test('a store that was never made reads as empty, and nothing half made is left', () => {
    fill(small, 20_000);
    const store = openNodeStore(directory);
    expect(store.leases.all()).toEqual([]);
    expect(failure(() => plug(store, 'w1', 0)).message).toContain('no space is left');
    store.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('whatever little room there was when it was made, with more room it works', () => {
    const outcomes = new Set<string>();
    for (let size = 40; size <= 200; size += 4) {
      const tiny = mount(`tiny-${size}`, '-t', 'tmpfs', '-o', `size=${size}k`, 'tmpfs');
      const inside = join(tiny, 'store');
      const attempt = openNodeStore(inside);
      try {
        plug(attempt, 'w1', 0);
        outcomes.add('written');
      } catch (error) {
        expect(isManifoldError(error, 'state') && error.message).toContain('no space is left');
        outcomes.add('full');
      }
      if (size % 8 === 0) attempt.close();
      execFileSync('mount', ['-o', 'remount,size=10m', tiny]);
      const store = openNodeStore(inside);
      plug(store, 'w1', 0);
      expect(addresses(store)).toEqual(first);
      expect(checkState(store)).toEqual({ broken: [], leftovers: [] });
      for (const open of size % 8 === 0 ? [store] : [attempt, store]) open.close();
    }
    expect([...outcomes].sort()).toEqual(['full', 'written']);
  });

  test('a release is deferred, and carried out when there is room', () => {
    const runDirectory = join(root, 'run');
    const before = openNodeStore(directory);
    plug(before, 'w1', 0);
    before.close();
    const filler = fill(small);
    deferRelease(runDirectory, { stateDir: directory, containerId: 'w1-0', ifname: 'net1' }, 'full');
    const full = openNodeStore(directory, { runDirectory });
    expect(addresses(full)).toEqual(first);
    full.close();
    rmSync(filler);
    const store = openNodeStore(directory, { runDirectory });
    expect(store.leases.all().map((lease) => lease.state)).toEqual(['resting', 'resting']);
    expect([...store.attachments.all(), ...store.interfaces.all()]).toEqual([]);
    expect(readdirSync(join(runDirectory, 'released'))).toEqual([]);
    store.close();
  });
});

describe('a read-only file system', () => {
  const readOnly = (directory: string): string => {
    const mounted = mount('ro', '--bind', directory);
    execFileSync('mount', ['-o', 'remount,ro,bind', mounted]);
    return mounted;
  };

  test.each([
    ['closed in order', (store: NodeStore) => store.close()],
    ['open in another process', () => undefined],
  ])('a store that is %s can be read, and says why it cannot be written', (_, leave) => {
    const writable = openNodeStore(join(root, 'store'));
    plug(writable, 'w1', 0);
    leave(writable);
    const store = openNodeStore(readOnly(join(root, 'store')));
    expect(addresses(store)).toEqual(first);
    const error = failure(() => plug(store, 'w1', 1));
    expect([error.code, error.message]).toEqual([
      'state',
      expect.stringContaining('its file system is read-only'),
    ]);
    expect(error.hint).toContain('stateDir');
    expect(checkState(store)).toEqual({ broken: [], leftovers: [] });
    store.close();
  });

  test('a store whose last process was killed can be read, log and all', () => {
    spawnSync(execPath, [STATE_WRITER, join(root, 'store'), 'w1', '1']);
    const store = openNodeStore(readOnly(join(root, 'store')));
    expect(addresses(store)).toEqual(first);
    expect(failure(() => store.ensureWritable()).message).toContain('read-only');
    store.close();
  });

  test('a store that was never made reads as empty', () => {
    mkdirSync(join(root, 'store'));
    const mounted = readOnly(join(root, 'store'));
    for (const directory of [mounted, join(mounted, 'inner')]) {
      const store = openNodeStore(directory);
      expect(store.attachments.all()).toEqual([]);
      expect(failure(() => store.ensureWritable()).message).toContain('read-only');
      store.close();
    }
  });

  test('a damaged store is damaged there too', () => {
    const directory = join(root, 'store');
    openNodeStore(directory).close();
    const mounted = readOnly(directory);
    for (const contents of ['garbage '.repeat(2000), 'short', '']) {
      writeFileSync(join(directory, 'state.db'), contents);
      expect(failure(() => openNodeStore(mounted)).message).toContain('the file is damaged');
    }
  });

  test('a killed reader can leave no copy behind: there is none', () => {
    spawnSync(execPath, [STATE_WRITER, join(root, 'store'), 'w1', '1']);
    const mounted = readOnly(join(root, 'store'));
    // Whatever is made in a directory and removed again changes its time.
    const given = process.env.TMPDIR;
    process.env.TMPDIR = mkdtempSync(join(root, 'scratch-'));
    try {
      const before = statSync(process.env.TMPDIR, { bigint: true }).mtimeNs;
      openNodeStore(mounted).close();
      expect(statSync(process.env.TMPDIR, { bigint: true }).mtimeNs).toBe(before);
    } finally {
      if (given === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = given;
    }
  });
});

test('a process without the right to the directory is told so', () => {
  chmodSync(root, 0o755);
  openNodeStore(join(root, 'store')).close();
  const { status, stderr } = spawnSync(execPath, [STATE_WRITER, join(root, 'store'), 'w1', '1'], {
    uid: 65534,
    gid: 65534,
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  expect(stderr).toContain("Cannot open the node's store: this process may not");
});
