// A store as the first version made it, with records as that version wrote them, opened by this one.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkState } from './check-state.ts';
import { openNodeStore } from './open-node-store.ts';
import { readCopy } from './read-copy.ts';
import { upgrade } from './schema.ts';
import { thisWriter } from './writer.ts';

/** Never to be changed: files made by it are out there. */
const VERSION_1 = `
  CREATE TABLE attachments (
    container_id TEXT NOT NULL, ifname TEXT NOT NULL, position INTEGER NOT NULL, pod_uid TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (container_id, ifname)) STRICT, WITHOUT ROWID;
  CREATE INDEX attachments_pod ON attachments (pod_uid) WHERE pod_uid IS NOT NULL;
  CREATE TABLE interfaces (
    container_id TEXT NOT NULL, ifname TEXT NOT NULL, network TEXT NOT NULL, pod_uid TEXT, device TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (container_id, ifname, network)) STRICT, WITHOUT ROWID;
  CREATE INDEX interfaces_pod ON interfaces (pod_uid) WHERE pod_uid IS NOT NULL;
  CREATE UNIQUE INDEX interfaces_device ON interfaces (device) WHERE device IS NOT NULL;
  CREATE TABLE leases (
    domain TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, ifname TEXT NOT NULL,
    container_id TEXT NOT NULL, released INTEGER, record TEXT NOT NULL,
    PRIMARY KEY (domain, key)) STRICT, WITHOUT ROWID;
  CREATE INDEX leases_owner ON leases (owner, ifname);
  CREATE INDEX leases_container ON leases (container_id);
  CREATE INDEX leases_resting ON leases (domain, released) WHERE released IS NOT NULL;
  CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 0), writes INTEGER NOT NULL) STRICT;
  INSERT INTO probe VALUES (0, 0);
  PRAGMA user_version = 1;`;

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-schema-'));
  path = join(directory, 'state.db');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(VERSION_1);
  const insert = (table: string, columns: readonly (string | number | null)[], record: object) =>
    db
      .prepare(`INSERT INTO ${table} VALUES (${[...columns, ''].map(() => '?').join()})`)
      .run(...columns, JSON.stringify(record));
  insert('attachments', ['c1', 'net1', 1, 'u1'], attachment);
  insert('interfaces', ['c1', 'net1', 'rail0', 'u1', null], iface);
  insert('leases', ['', '40a000001', 'u1', 'net1', 'c1', null], held);
  insert('leases', ['', '40a000002', 'u0', 'net1', 'c0', 5], resting);
  db.close();
});
afterEach(() => rmSync(directory, { recursive: true }));

const id = {
  containerId: 'c1',
  ifname: 'net1',
  pod: { uid: 'u1', namespace: 'a', name: 'p' },
  netns: '/run/netns/x',
  writer: thisWriter(),
};
const attachment = { ...id, position: 1, network: 'a/rail0', config: {}, args: {}, state: 'added' };
const iface = { ...id, plugin: 'macvlan', network: 'rail0', netnsId: '4:1', state: 'added', saved: {} };
const held = {
  ...id,
  domain: '',
  address: '10.0.0.1',
  network: 'rail0',
  owner: 'u1',
  state: 'held',
  acquired: 1,
};
const resting = {
  ...held,
  address: '10.0.0.2',
  owner: 'u0',
  containerId: 'c0',
  state: 'resting',
  released: 5,
};

test('all that the first version wrote is read, and cluster leases can be written', () => {
  const store = openNodeStore(directory);
  expect(store.attachments.all()).toEqual([attachment]);
  expect(store.interfaces.all()).toEqual([iface]);
  expect(store.leases.all()).toEqual([held, resting]);
  const claim = { ...id, name: '10.1.0.1', address: '10.1.0.1', subnet: '10.1.0.0/24', domain: '' };
  const record = { ...claim, network: 'rail0', owner: 'u1', state: 'claiming', acquired: 1 } as const;
  expect(store.clusterLeases.claim(record)).toBe(true);
  store.copies.put('pool', {});
  expect(checkState(store)).toEqual({ broken: [], leftovers: [] });
  store.close();
  const again = openNodeStore(directory);
  expect(again.clusterLeases.all()).toEqual([record]);
  again.close();
});

test('it is upgraded once: a second process that has it open goes on', () => {
  const first = openNodeStore(directory);
  const second = openNodeStore(directory);
  second.copies.put('pool', { by: 'second' });
  expect(first.copies.get('pool')).toEqual({ by: 'second' });
  first.close();
  second.close();
});

test('where it cannot be written, its copy in memory is upgraded and the file stays as it is', () => {
  const copy = readCopy(path);
  if (copy === undefined) throw new Error('there is no copy');
  upgrade(copy, path);
  expect(copy.prepare('SELECT count(*) AS n FROM cluster_leases').get()).toEqual({ n: 0 });
  expect(copy.prepare('SELECT count(*) AS n FROM leases').get()).toEqual({ n: 2 });
  copy.close();
  const db = new DatabaseSync(path);
  expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
  db.close();
});

test('a store that a later version wrote is left alone', () => {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  expect(() => openNodeStore(directory)).toThrow('a later version of Manifold wrote it');
});
