import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManifoldError } from '../errors/manifold-error.ts';
import { openNodeStore } from './open-node-store.ts';
import { openStateFile } from './state-file.ts';

let root: string;
let directory: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-state-'));
  directory = join(root, 'store');
  file = join(directory, 'state.db');
});
afterEach(() => rmSync(root, { recursive: true }));

function failure(work: () => unknown): ManifoldError {
  try {
    work();
  } catch (error) {
    if (error instanceof ManifoldError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** A store with a few hundred pages, all in the file. */
function filledStore(): void {
  const store = openNodeStore(directory);
  store.transaction(() => {
    for (let i = 0; i < 500; i++)
      store.leases.put({
        domain: '',
        address: `10.0.${i >> 8}.${i & 255}`,
        network: 'rail0',
        owner: `uid-${i}`,
        ifname: 'net1',
        containerId: `c${i}`,
        pod: {},
        netns: '/run/netns/x',
        state: 'held',
        acquired: 1,
        writer: store.writer,
      });
  });
  store.close();
}

test('a directory path that is a file is named, and what to do', () => {
  writeFileSync(directory, 'x');
  const error = failure(() => openNodeStore(directory));
  expect(error.code).toBe('state');
  expect(error.message).toContain(`Cannot open the node's store: its directory is a file (${file}`);
  expect(error.hint).toContain(directory);
});

test('garbage in place of the file is never begun anew, and the hint says how to move it away', () => {
  openNodeStore(directory).close();
  writeFileSync(file, 'garbage '.repeat(2000));
  const error = failure(() => openNodeStore(directory));
  expect(error.code).toBe('state');
  expect(error.message).toContain(`the file is damaged (${file}`);
  expect(error.hint).toContain(`mv ${directory} ${directory}.damaged`);
  expect(readFileSync(file, 'utf8')).toContain('garbage');
});

test('an empty file is damage too, not a new store', () => {
  openNodeStore(directory).close();
  truncateSync(file, 0);
  const error = failure(() => openNodeStore(directory));
  expect([error.code, error.message]).toEqual(['state', expect.stringContaining('the file is damaged')]);
});

test.each([0.3, 0.6, 0.9])('a file cut off at %f of its length is reported by whoever reads it', (part) => {
  filledStore();
  truncateSync(file, Math.floor((readFileSync(file).length * part) / 4096) * 4096);
  const error = failure(() => openNodeStore(directory).leases.all());
  expect([error.code, error.message]).toEqual(['state', expect.stringContaining('the file is damaged')]);
});

test('scribbles in the middle of the file are reported by whoever reads them', () => {
  filledStore();
  const bytes = readFileSync(file);
  bytes.fill(0xee, 8192, bytes.length - 4096);
  writeFileSync(file, bytes);
  const error = failure(() => openNodeStore(directory).leases.all());
  expect([error.code, error.message]).toEqual(['state', expect.stringContaining('the file is damaged')]);
});

test.each(['null', '[]', '7', '{}', '{'])('a record that is %s is an error that names it', (record) => {
  filledStore();
  const db = new DatabaseSync(file);
  db.prepare("UPDATE leases SET record = ? WHERE owner = 'uid-7'").run(record);
  db.close();
  const store = openNodeStore(directory);
  const error = failure(() => store.leases.all());
  expect(error.code).toBe('state');
  expect(error.message).toContain(`Cannot read the node's store: a record `);
  expect(error.message).toContain(file);
  expect(error.message).toContain('"owner":"uid-7"');
  expect(store.leases.get('', '10.0.0.6')?.owner).toBe('uid-6');
  store.close();
});

describe('in place of the file', () => {
  const open = (): ManifoldError => failure(() => openNodeStore(directory));
  beforeEach(() => mkdirSync(directory));

  test('a directory is named', () => {
    mkdirSync(file);
    expect(open().message).toBe(`Cannot open the node's store: it is a directory, not a file (${file})`);
    expect(open().code).toBe('state');
  });

  test.each(['', '-wal', '-shm', '-journal'])(
    'a pipe under state.db%s is named, and nobody waits for its other end',
    (suffix) => {
      if (suffix !== '') openNodeStore(directory).close();
      execFileSync('mkfifo', [`${file}${suffix}`]);
      expect(open().message).toBe(
        `Cannot open the node's store: it is a pipe, not a file (${file}${suffix})`,
      );
    },
  );

  test('a symbolic link that leads nowhere is named, and not followed', () => {
    symlinkSync(join(root, 'nowhere'), file);
    expect(open().message).toBe(
      `Cannot open the node's store: it is a symbolic link that leads nowhere (${file})`,
    );
    expect(readdirSync(root)).toEqual(['store']);
  });

  test('symbolic links in a circle are named', () => {
    symlinkSync(file, file);
    expect(open().message).toContain(`symbolic links lead in a circle (${file}`);
    expect(open().code).toBe('state');
  });

  test('a symbolic link to a store elsewhere is followed', () => {
    const elsewhere = join(root, 'elsewhere');
    openNodeStore(elsewhere).close();
    symlinkSync(join(elsewhere, 'state.db'), file);
    const store = openNodeStore(directory);
    store.ensureWritable();
    store.close();
  });
});

test('a directory that is a link to nothing is named', () => {
  symlinkSync(join(root, 'nowhere'), directory);
  const error = failure(() => openNodeStore(directory));
  expect([error.code, error.message]).toEqual(['state', expect.stringContaining(directory)]);
});

test.each([['x'.repeat(300)], ['x/'.repeat(2500)]])('a path that is too long is named (%#)', (name) => {
  const error = failure(() => openNodeStore(join(root, name)));
  expect([error.code, error.message]).toEqual(['state', expect.stringContaining('its path is too long')]);
});

test('a store of a later version is refused and left as it is', () => {
  openNodeStore(directory).close();
  const db = new DatabaseSync(file);
  db.exec('PRAGMA user_version = 99');
  db.close();
  const error = failure(() => openNodeStore(directory));
  expect(error.code).toBe('state');
  expect(error.message).toContain('a later version of Manifold wrote it');
  expect(error.message).toContain('schema 99');
});

test('a log without its file is refused: it would be taken for the log of a new file', () => {
  openNodeStore(directory).close();
  rmSync(file);
  writeFileSync(`${file}-wal`, 'log');
  const error = failure(() => openNodeStore(directory));
  expect(error.message).toContain('its log is there but the file is not');
  expect(readdirSync(directory)).toEqual(['state.db-wal']);
});

test('a writer that waits too long for others is told to repeat the call', () => {
  const store = openNodeStore(directory);
  const other = new DatabaseSync(file, { timeout: 0 });
  other.exec('BEGIN IMMEDIATE');
  const impatient = openNodeStore(directory, { busyTimeoutMs: 50 });
  const error = failure(() => impatient.ensureWritable());
  expect([error.code, error.message]).toEqual([
    'try-later',
    expect.stringContaining('kept it locked for too long'),
  ]);
  other.exec('ROLLBACK');
  impatient.ensureWritable();
  for (const open of [impatient, store, other]) open.close();
});

test('waits for others share one budget, which is whole again once nobody is in the way', () => {
  openNodeStore(directory).close();
  const other = new DatabaseSync(file, { timeout: 0 });
  const patient = openStateFile(directory, 300);
  const left = () => patient.get('PRAGMA busy_timeout')?.timeout;
  const write = () => patient.run('UPDATE probe SET writes = writes + 1');
  expect(left()).toBe(300);
  other.exec('BEGIN IMMEDIATE');
  for (let i = 0; i < 2; i++) {
    expect(failure(write).code).toBe('try-later');
    expect(left()).toBe(100);
  }
  other.exec('ROLLBACK');
  // The first may still be slow on a busy machine.
  for (let i = 0; i < 50 && left() !== 300; i++) write();
  expect(left()).toBe(300);
  for (const open of [patient, other]) open.close();
});

test('nothing is left beside the file when it is made', () => {
  openNodeStore(directory);
  expect(readdirSync(directory).filter((name) => name.includes('new'))).toEqual([]);
});
