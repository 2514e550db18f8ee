import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkState } from './check-state.ts';
import type { ClusterLeaseRecord, NodeStore } from './node-store.ts';
import { openNodeStore } from './open-node-store.ts';

let directory: string;
let store: NodeStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-cluster-'));
  store = openNodeStore(directory);
});
afterEach(() => {
  expect(checkState(store).broken).toEqual([]);
  store.close();
  rmSync(directory, { recursive: true });
});

function lease(change: Partial<ClusterLeaseRecord> = {}): ClusterLeaseRecord {
  const { state } = change;
  return {
    ...{ name: '10.0.0.1', domain: '', address: '10.0.0.1', subnet: '10.0.0.0/8', network: 'rail0' },
    ...{ owner: 'u1', ifname: 'net1', containerId: 'c1', pod: { uid: 'u1' }, netns: '/n', state: 'claiming' },
    acquired: 1,
    writer: store.writer,
    ...((state === 'releasing' || state === 'resting') && { released: 5 }),
    ...(state === 'resting' && { until: 9 }),
    ...change,
  };
}

test('one name has one owner, interface and network at a time', () => {
  expect(store.clusterLeases.claim(lease())).toBe(true);
  for (const change of [{ owner: 'u2' }, { ifname: 'net2' }, { network: 'rail1' }])
    expect(store.clusterLeases.claim(lease(change))).toBe(false);
  expect(store.clusterLeases.claim(lease({ containerId: 'c2', state: 'held' }))).toBe(true);
  expect(store.clusterLeases.all()).toEqual([lease({ containerId: 'c2', state: 'held' })]);
});

test('an update or a removal by one that is no owner any more changes nothing', () => {
  store.clusterLeases.claim(lease());
  store.clusterLeases.update(lease({ owner: 'u2', state: 'held' }));
  store.clusterLeases.remove(lease({ owner: 'u2' }));
  store.clusterLeases.remove(lease({ ifname: 'net2' }));
  store.clusterLeases.update(lease({ name: '10.0.0.9', address: '10.0.0.9' }));
  expect(store.clusterLeases.all()).toEqual([lease()]);
});

test('what one process claims in a transaction that fails is nobody’s', () => {
  const other = openNodeStore(directory);
  expect(() =>
    store.transaction(() => {
      store.clusterLeases.claim(lease());
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(other.clusterLeases.claim(lease({ owner: 'u2' }))).toBe(true);
  other.close();
});

test('any sequence of writes leaves what a plain list of records would', () => {
  const record = fc.record({
    name: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3'),
    owner: fc.constantFrom('u1', 'u2'),
    ifname: fc.constantFrom('net1', 'net2'),
    network: fc.constantFrom('rail0', 'rail1'),
    containerId: fc.constantFrom('c1', 'c2'),
    state: fc.constantFrom('claiming', 'claimed', 'held', 'releasing', 'resting'),
  });
  const step = fc.record({ do: fc.constantFrom('claim', 'claim', 'update', 'remove'), record });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      for (const one of store.clusterLeases.all()) store.clusterLeases.remove(one);
      const model = new Map<string, ClusterLeaseRecord>();
      for (const { do: what, record } of steps) {
        const wanted = lease({ ...record, address: record.name } as Partial<ClusterLeaseRecord>);
        const there = model.get(wanted.name);
        const isOurs = there?.owner === wanted.owner && there.ifname === wanted.ifname;
        if (what === 'claim') {
          const may = there === undefined || (isOurs && there.network === wanted.network);
          expect(store.clusterLeases.claim(wanted)).toBe(may);
          if (may) model.set(wanted.name, wanted);
        } else if (what === 'update') {
          store.clusterLeases.update(wanted);
          if (isOurs) model.set(wanted.name, wanted);
        } else {
          store.clusterLeases.remove(wanted);
          if (isOurs) model.delete(wanted.name);
        }
      }
      const records = [...model.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      const { clusterLeases } = store;
      expect(clusterLeases.all()).toEqual(records);
      expect(clusterLeases.get('10.0.0.1')).toEqual(model.get('10.0.0.1'));
      expect(clusterLeases.ofOwner('u1', 'net1')).toEqual(
        records.filter((one) => one.owner === 'u1' && one.ifname === 'net1'),
      );
      expect(clusterLeases.ofContainer('c2')).toEqual(records.filter((one) => one.containerId === 'c2'));
      expect(clusterLeases.inState('releasing', 'claiming')).toEqual(
        records.filter((one) => one.state === 'releasing' || one.state === 'claiming'),
      );
      expect(checkState(store).broken).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test('a copy is what was put last, and a damaged one is none', () => {
  store.copies.put('pool a', { range: '10.0.0.0/8' });
  store.copies.put('pool a', { range: '10.0.0.0/9' });
  expect(store.copies.get('pool a')).toEqual({ range: '10.0.0.0/9' });
  expect(store.copies.get('pool b')).toBeUndefined();
  const db = new DatabaseSync(join(directory, 'state.db'));
  for (const damage of ['{"range":', 'null', '7']) {
    db.prepare('UPDATE copies SET record = ?').run(damage);
    expect(store.copies.get('pool a')).toBeUndefined();
  }
  db.close();
  store.copies.put('pool a', {});
});

test('a row is removed as it was shown, and not when it has changed since', () => {
  store.clusterLeases.claim(lease());
  const [shown] = store.raw().rows;
  if (shown === undefined) throw new Error('nothing is there');
  store.clusterLeases.update(lease({ state: 'held' }));
  expect(store.removeRaw(shown)).toBe(false);
  store.clusterLeases.update(lease());
  expect(store.removeRaw(shown)).toBe(true);
  expect(store.removeRaw(shown)).toBe(false);
  expect(store.clusterLeases.all()).toEqual([]);
});
