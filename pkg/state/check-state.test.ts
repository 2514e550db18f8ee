import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkState } from './check-state.ts';
import type {
  AttachmentRecord,
  ClusterLeaseRecord,
  InterfaceRecord,
  LeaseRecord,
  NodeStore,
  Writer,
} from './node-store.ts';
import { openNodeStore } from './open-node-store.ts';
import { deferRelease } from './spool.ts';

let directory: string;
let store: NodeStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-check-'));
  store = openNodeStore(directory);
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

/** Past the store, as only a defect or a screwdriver would. */
function sql(text: string, ...values: SQLInputValue[]): void {
  const db = new DatabaseSync(join(directory, 'state.db'));
  db.prepare(text).run(...values);
  db.close();
}

const deadWriter = (): Writer => ({ ...store.writer, pid: spawnSync('true').pid ?? 1 });
const earlierBoot = (): Writer => ({ ...store.writer, bootId: 'b0' });

const id = {
  containerId: 'c1',
  ifname: 'net1',
  network: 'rail0',
  pod: { name: 'p', namespace: 'a' },
  netns: '/n',
};
const lease = (change: Partial<LeaseRecord> = {}): LeaseRecord => ({
  ...id,
  domain: '',
  address: '10.0.0.1',
  owner: 'c1',
  state: 'held',
  acquired: 1,
  writer: store.writer,
  ...change,
});
const clusterLease = (change: Partial<ClusterLeaseRecord> = {}): ClusterLeaseRecord => ({
  ...id,
  name: '10.0.0.1',
  domain: '',
  address: '10.0.0.1',
  subnet: '10.0.0.0/24',
  owner: 'c1',
  state: 'held',
  object: { uid: 'o1', resourceVersion: '7' },
  acquired: 1,
  writer: store.writer,
  ...change,
});
const iface = (change: Partial<InterfaceRecord> = {}): InterfaceRecord => ({
  ...id,
  plugin: 'macvlan',
  netnsId: '4:1',
  state: 'added',
  saved: {},
  writer: store.writer,
  ...change,
});
const attachment = (change: Partial<AttachmentRecord> = {}): AttachmentRecord => ({
  ...id,
  position: 0,
  config: {},
  args: {},
  state: 'added',
  writer: store.writer,
  ...change,
});

test('a store in order has no findings', () => {
  store.leases.put(lease());
  store.leases.put(lease({ address: '10.0.0.2', state: 'resting', released: 5, writer: earlierBoot() }));
  store.interfaces.put(iface());
  store.attachments.put(attachment());
  store.clusterLeases.claim(clusterLease());
  store.clusterLeases.claim(
    clusterLease({
      name: 'b.10.0.0.1',
      domain: 'b',
      state: 'resting',
      released: 5,
      until: 9,
      writer: earlierBoot(),
    }),
  );
  store.copies.put('pool a', { range: '10.0.0.0/24' });
  expect(checkState(store)).toEqual({ broken: [], leftovers: [] });
});

test.each([
  ['not JSON', '{', 'is not JSON'],
  ['no object', '[]', 'has a wrong shape: it is no object'],
  ['a field missing', '{}', 'has a wrong shape: domain is no string'],
])('a record that is %s is broken', (_, record, sentence) => {
  store.leases.put(lease());
  sql('UPDATE leases SET record = ?', record);
  expect(checkState(store).broken).toEqual([expect.stringContaining(sentence)]);
});

test.each([
  ['state is none of claimed, held, resting', { state: 'lost' }],
  ['writer names no process', { writer: { pid: 1 } }],
  ['acquired is no number', { acquired: 'yesterday' }],
])('a record whose %s is broken', (sentence, change) => {
  store.leases.put({ ...lease(), ...change } as LeaseRecord);
  expect(checkState(store).broken).toEqual([expect.stringContaining(sentence)]);
});

test('a record that disagrees with its columns is broken', () => {
  store.leases.put(lease());
  sql("UPDATE leases SET owner = 'another'");
  expect(checkState(store).broken).toEqual([expect.stringContaining('disagrees with its column owner')]);
});

test('a device held twice is broken, and both holders are named', () => {
  store.interfaces.put(iface({ device: 'd1' }));
  store.interfaces.put(iface({ containerId: 'c2', device: 'd2' }));
  // The index forbids it, so the defect is in the record.
  sql('UPDATE interfaces SET record = replace(record, \'"d2"\', \'"d1"\')');
  expect(checkState(store).broken).toContain(
    'Device d1 is held twice: by pod a/p, container c1, net1 and by pod a/p, container c2, net1.',
  );
});

test('a held lease with a time of release, and a resting one without, are broken', () => {
  store.leases.put(lease({ released: 5 }));
  store.leases.put(lease({ address: '10.0.0.2', state: 'resting' }));
  expect(checkState(store).broken).toEqual([
    expect.stringContaining('10.0.0.1 of pod a/p, container c1, net1 is held and has a time of release'),
    expect.stringContaining('10.0.0.2 of pod a/p, container c1, net1 is resting and has no time of release'),
  ]);
});

test('what an ADD that died has begun is left over', () => {
  store.leases.put(lease({ state: 'claimed', writer: deadWriter() }));
  store.interfaces.put(iface({ state: 'adding', writer: deadWriter() }));
  store.attachments.put(attachment({ state: 'planned', writer: deadWriter() }));
  const { broken, leftovers } = checkState(store);
  expect(broken).toEqual([]);
  expect(leftovers).toEqual([
    expect.stringMatching(
      /^Attachment of pod a\/p, container c1, net1 is planned, but its process \d+ is gone\.$/,
    ),
    expect.stringMatching(/^Interface of .* is adding, but its process \d+ is gone\.$/),
    expect.stringMatching(/^Lease 10\.0\.0\.1 of .* is claimed, but its process \d+ is gone\.$/),
  ]);
});

test('what an ADD under way has begun is not', () => {
  store.leases.put(lease({ state: 'claimed' }));
  store.attachments.put(attachment({ state: 'adding' }));
  expect(checkState(store).leftovers).toEqual([]);
});

test('what an earlier boot held is left over', () => {
  store.leases.put(lease({ writer: earlierBoot() }));
  expect(checkState(store).leftovers).toEqual([
    'Lease 10.0.0.1 of pod a/p, container c1, net1 is of an earlier boot.',
  ]);
});

test('a held lease without its interface is left over where the interfaces of its network are recorded', () => {
  const writer = deadWriter();
  store.leases.put(lease({ writer }));
  expect(checkState(store).leftovers).toEqual([]);
  store.interfaces.put(iface({ containerId: 'c2' }));
  expect(checkState(store).leftovers).toEqual([
    'Lease 10.0.0.1 of pod a/p, container c1, net1 is held, but no such interface is recorded.',
  ]);
});

test('drafts of the file and deferred releases are left over', () => {
  writeFileSync(join(directory, 'state.db.new-7-123'), '');
  deferRelease(directory, { stateDir: directory, containerId: 'c9', ifname: 'net1' }, 'disk full');
  expect(checkState(store, directory).leftovers).toEqual([
    expect.stringContaining('state.db.new-7-123 was left by a process that died'),
    'The release of container c9, net1 was deferred and waits.',
  ]);
});

describe('copies of cluster leases', () => {
  const name = 'Cluster lease 10.0.0.1 of pod a/p, container c1, net1';

  test.each<[string, Partial<ClusterLeaseRecord>]>([
    [`${name} is releasing and has no time of release.`, { state: 'releasing' }],
    [`${name} is held and has a time of release.`, { released: 5 }],
    [`${name} is resting and has no time of end.`, { state: 'resting', released: 5 }],
    [`${name} is releasing and has a time of end.`, { state: 'releasing', released: 5, until: 9 }],
    [`${name} names no subnet in canonical text: 10.0.0.1/24.`, { subnet: '10.0.0.1/24' }],
    [`${name} does not lie in its subnet 10.1.0.0/24.`, { subnet: '10.1.0.0/24' }],
    [
      'Cluster lease fd00:0::1 of pod a/p, container c1, net1 is not under the canonical text of an address.',
      { address: 'fd00:0::1', subnet: 'fd00::/64' },
    ],
  ])('%s', (sentence, change) => {
    store.clusterLeases.claim(clusterLease(change));
    expect(checkState(store).broken).toEqual([sentence]);
  });

  test.each([
    ['object has no uid and resourceVersion', { object: { uid: 'o1' } }],
    ['until is no number', { state: 'resting', released: 5, until: 'soon' }],
    ['state is none of claiming, claimed, held, releasing, resting', { state: 'lost' }],
  ])('are broken when %s', (sentence, change) => {
    store.clusterLeases.claim({ ...clusterLease(), ...change } as ClusterLeaseRecord);
    expect(checkState(store).broken).toEqual([expect.stringContaining(`has a wrong shape: ${sentence}`)]);
  });

  test('are broken when they disagree with a column', () => {
    store.clusterLeases.claim(clusterLease());
    sql("UPDATE cluster_leases SET state = 'releasing'");
    expect(checkState(store).broken).toEqual([
      expect.stringContaining('disagrees with its column state: "held"'),
    ]);
  });

  test('are broken when one address is there under two names', () => {
    store.clusterLeases.claim(clusterLease());
    store.clusterLeases.claim(clusterLease({ name: 'other', containerId: 'c2' }));
    expect(checkState(store).broken).toEqual([
      'Cluster lease 10.0.0.1 is there twice: as 10.0.0.1 of pod a/p, container c1, net1 and as other of pod a/p, container c2, net1.',
    ]);
  });

  test('are left over where the process died, the boot is an earlier one, or the API server is waited for', () => {
    const of = (n: number, change: Partial<ClusterLeaseRecord>) =>
      store.clusterLeases.claim(clusterLease({ name: `10.0.0.${n}`, address: `10.0.0.${n}`, ...change }));
    of(1, { state: 'claiming', writer: deadWriter() });
    of(2, { state: 'claimed', writer: deadWriter() });
    of(3, { writer: earlierBoot() });
    of(4, { state: 'releasing', released: 5, writer: earlierBoot() });
    of(5, { state: 'claiming' });
    const { broken, leftovers } = checkState(store);
    expect(broken).toEqual([]);
    const whose = 'of pod a/p, container c1, net1';
    expect(leftovers).toEqual([
      expect.stringMatching(`^Cluster lease 10.0.0.1 ${whose} is claiming, but its process \\d+ is gone.$`),
      expect.stringMatching(`^Cluster lease 10.0.0.2 ${whose} is claimed, but its process \\d+ is gone.$`),
      `Cluster lease 10.0.0.3 ${whose} is of an earlier boot.`,
      `Cluster lease 10.0.0.4 ${whose} is released here and waits for the API server.`,
    ]);
  });

  test('are left over where the interfaces of the network are recorded, and this one is not', () => {
    store.clusterLeases.claim(clusterLease({ writer: deadWriter() }));
    store.interfaces.put(iface({ containerId: 'c2' }));
    expect(checkState(store).leftovers).toEqual([
      'Cluster lease 10.0.0.1 of pod a/p, container c1, net1 is held, but no such interface is recorded.',
    ]);
  });
});

test('a copy that is no object is broken', () => {
  store.copies.put('pool a', {});
  sql("UPDATE copies SET record = '[]'");
  expect(checkState(store).broken).toEqual([
    'The record of copies {"name":"pool a"} has a wrong shape: it is no object.',
  ]);
});

test("a release that was deferred for another store is not this one's", () => {
  deferRelease(directory, { stateDir: `${directory}/other`, containerId: 'c9', ifname: 'net1' }, 'disk full');
  expect(checkState(store, directory).leftovers).toEqual([]);
});
