import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkState } from './check-state.ts';
import type { InterfaceRecord, LeaseRecord, NodeStore } from './node-store.ts';
import { openNodeStore } from './open-node-store.ts';

let directory: string;
let store: NodeStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-state-'));
  store = openNodeStore(directory);
});
afterEach(() => {
  expect(checkState(store)).toEqual({ broken: [], leftovers: [] });
  store.close();
  rmSync(directory, { recursive: true });
});

const id = { containerId: 'c1', ifname: 'net1', network: 'rail0', netns: '/n' };

function lease(change: Partial<LeaseRecord>): LeaseRecord {
  return {
    ...id,
    domain: '',
    address: '10.0.0.1',
    owner: 'u1',
    pod: { uid: 'u1' },
    state: 'held',
    acquired: 1,
    writer: store.writer,
    ...change,
  };
}

test('any sequence of writes of leases leaves what a plain list of records would', () => {
  const at = fc.record({
    domain: fc.constantFrom('', 'blue'),
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.1.0', '::1', 'fd00::2'),
  });
  const change = fc.record({
    owner: fc.constantFrom('u1', 'u2'),
    containerId: fc.constantFrom('c1', 'c2'),
    ifname: fc.constantFrom('net1', 'net2'),
    state: fc.constantFrom('held', 'claimed', 'resting'),
  });
  const step = fc.oneof(
    fc.record({ do: fc.constant('put'), at, change }),
    fc.record({ do: fc.constant('remove'), at, change }),
    fc.record({ do: fc.constant('fail'), at, change }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      for (const { domain, address } of store.leases.all()) store.leases.remove(domain, address);
      const model = new Map<string, LeaseRecord>();
      for (const { do: what, at, change } of steps) {
        const record = lease({
          ...at,
          ...change,
          state: change.state as LeaseRecord['state'],
          ...(change.state === 'resting' && { released: 5 }),
        });
        const key = `${at.domain} ${at.address}`;
        if (what === 'put') {
          store.leases.put(record);
          model.set(key, record);
        } else if (what === 'remove') {
          store.leases.remove(at.domain, at.address);
          model.delete(key);
        } else
          expect(() =>
            store.transaction(() => {
              store.leases.put(record);
              throw new Error('no');
            }),
          ).toThrow();
      }
      const sorted = (records: Iterable<LeaseRecord>) =>
        [...records].sort((a, b) => (a.domain + a.address < b.domain + b.address ? -1 : 1));
      const records = [...model.values()];
      expect(sorted(store.leases.all())).toEqual(sorted(records));
      expect(sorted(store.leases.ofOwner('u1', 'net1'))).toEqual(
        sorted(records.filter((r) => r.owner === 'u1' && r.ifname === 'net1')),
      );
      expect(sorted(store.leases.ofContainer('c2'))).toEqual(
        sorted(records.filter((r) => r.containerId === 'c2')),
      );
      expect(store.leases.inRange('', '10.0.0.0', '10.0.0.255').map((r) => r.address)).toEqual(
        records
          .filter((r) => r.domain === '' && r.address.startsWith('10.0.0.'))
          .map((r) => r.address)
          .sort(),
      );
    }),
    { numRuns: 60 },
  );
});

test('any sequence of writes of interfaces leaves what a plain list would, each device with one holder', () => {
  const step = fc.record({
    do: fc.constantFrom('put', 'put', 'remove'),
    containerId: fc.constantFrom('c1', 'c2', 'c3'),
    network: fc.constantFrom('rail0', 'rail1'),
    device: fc.constantFrom(undefined, 'd1', 'd2'),
    uid: fc.constantFrom('u1', 'u2'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      for (const one of store.interfaces.all()) store.interfaces.remove(one);
      const model = new Map<string, InterfaceRecord>();
      for (const { do: what, containerId, network, device, uid } of steps) {
        const key = `${containerId} ${network}`;
        const record: InterfaceRecord = {
          ...id,
          containerId,
          network,
          plugin: 'host-device',
          netnsId: '4:1',
          pod: { uid },
          state: 'added',
          saved: {},
          writer: store.writer,
          ...(device !== undefined && { device }),
        };
        const taken = [...model].some(
          ([other, held]) => other !== key && device !== undefined && held.device === device,
        );
        if (what === 'remove') {
          store.interfaces.remove(record);
          model.delete(key);
        } else if (taken) {
          expect(() => store.interfaces.put(record)).toThrow(`Cannot give device ${device} to`);
        } else {
          store.interfaces.put(record);
          model.set(key, record);
        }
      }
      const sorted = (records: Iterable<InterfaceRecord>) =>
        [...records].sort((a, b) => (a.containerId + a.network < b.containerId + b.network ? -1 : 1));
      const records = [...model.values()];
      expect(store.interfaces.all()).toEqual(sorted(records));
      expect(store.interfaces.ofPod('u1')).toEqual(
        sorted(records.filter((record) => record.pod.uid === 'u1')),
      );
      for (const device of ['d1', 'd2'])
        expect(store.interfaces.byDevice(device)).toEqual(records.find((record) => record.device === device));
    }),
    { numRuns: 60 },
  );
});
