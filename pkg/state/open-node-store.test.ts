import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isManifoldError } from '../errors/manifold-error.ts';
import { parseAddress } from '../ip/address.ts';
import { checkState } from './check-state.ts';
import type { AttachmentRecord, InterfaceRecord, LeaseRecord, NodeStore } from './node-store.ts';
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

const lease = (change: Partial<LeaseRecord> = {}): LeaseRecord => ({
  domain: '',
  address: '10.0.0.1',
  network: 'rail0',
  owner: 'uid-1',
  ifname: 'net1',
  containerId: 'c1',
  pod: { uid: 'uid-1', namespace: 'a', name: 'p' },
  netns: '/run/netns/c1',
  state: 'held',
  acquired: 1,
  writer: store.writer,
  ...change,
});

const attachment = (change: Partial<AttachmentRecord> = {}): AttachmentRecord => ({
  containerId: 'c1',
  ifname: 'net1',
  position: 1,
  network: 'a/rail0',
  pod: { uid: 'uid-1' },
  netns: '/run/netns/c1',
  config: { plugins: [{ type: 'macvlan' }] },
  args: {},
  state: 'added',
  writer: store.writer,
  ...change,
});

const iface = (change: Partial<InterfaceRecord> = {}): InterfaceRecord => ({
  containerId: 'c1',
  ifname: 'net1',
  plugin: 'host-device',
  network: 'rail0',
  pod: { uid: 'uid-1', namespace: 'a', name: 'p' },
  netns: '/run/netns/c1',
  netnsId: '4:1',
  state: 'added',
  saved: { mtu: 1500 },
  writer: store.writer,
  ...change,
});

function failureOf(work: () => unknown): [string, string] {
  try {
    work();
  } catch (error) {
    if (isManifoldError(error)) return [error.code, error.message];
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Field 22 of proc(5)'s stat. */
function startTimeOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

test('the directory is made for root alone', () => {
  const inner = join(directory, 'a/b');
  openNodeStore(inner).close();
  expect(statSync(inner).mode & 0o777).toBe(0o700);
});

test('what one process wrote another reads', () => {
  store.leases.put(lease());
  store.attachments.put(attachment());
  store.interfaces.put(iface({ device: 'pci:0000:3b:00.2' }));
  const other = openNodeStore(directory);
  expect(other.leases.all()).toEqual([lease()]);
  expect(other.attachments.all()).toEqual([attachment()]);
  expect(other.interfaces.byDevice('pci:0000:3b:00.2')).toEqual(iface({ device: 'pci:0000:3b:00.2' }));
  other.close();
});

describe('transactions', () => {
  test('one that throws leaves nothing behind', () => {
    expect(() =>
      store.transaction(() => {
        store.leases.put(lease());
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(store.leases.all()).toEqual([]);
  });

  test('an inner one that throws takes back only its own part', () => {
    store.transaction(() => {
      store.leases.put(lease());
      expect(() =>
        store.transaction(() => {
          store.leases.put(lease({ address: '10.0.0.2' }));
          throw new Error('no');
        }),
      ).toThrow('no');
      store.leases.put(lease({ address: '10.0.0.3' }));
    });
    expect(store.leases.all().map((l) => l.address)).toEqual(['10.0.0.1', '10.0.0.3']);
  });

  test('one that would wait is refused and taken back', () => {
    expect(() =>
      store.transaction(async () => {
        store.leases.put(lease());
      }),
    ).toThrow('Cannot commit to the store: a transaction must not wait (promise)');
    expect(store.leases.all()).toEqual([]);
  });
});

describe('interfaces', () => {
  test('a device has one holder, whom the error names', () => {
    store.interfaces.put(iface({ device: 'mac:02:00:00:00:00:01' }));
    const put = () => store.interfaces.put(iface({ containerId: 'c2', device: 'mac:02:00:00:00:00:01' }));
    expect(put).toThrow(
      'Cannot give device mac:02:00:00:00:00:01 to pod a/p (net1): pod a/p has it as net1 (container c1)',
    );
    expect(store.interfaces.all()).toHaveLength(1);
  });

  test('where no pod is known, the error names the containers', () => {
    store.interfaces.put(iface({ pod: {}, device: 'pci:0000:3b:00.2' }));
    expect(() =>
      store.interfaces.claim(iface({ containerId: 'c2', pod: {}, device: 'pci:0000:3b:00.2' })),
    ).toThrow('Cannot give device pci:0000:3b:00.2 to container c2 (net1): container c1 has it as net1');
  });

  test('its holder may write its record again', () => {
    store.interfaces.put(iface({ device: 'd', state: 'adding' }));
    store.interfaces.put(iface({ device: 'd' }));
    expect(store.interfaces.all()).toEqual([iface({ device: 'd' })]);
  });

  test('a removed record frees its device', () => {
    store.interfaces.put(iface({ device: 'd' }));
    store.interfaces.remove(iface());
    store.interfaces.put(iface({ containerId: 'c2', device: 'd' }));
    expect(store.interfaces.byDevice('d')?.containerId).toBe('c2');
  });
});

describe('an interface that two ADDs want at once', () => {
  let other: NodeStore;
  let ended: NodeStore;
  beforeEach(() => {
    // This test's parent lives as long as the test; no process has a number as high as the other's.
    const parent = { ...store.writer, pid: process.ppid, startTime: startTimeOf(process.ppid) };
    other = openNodeStore(directory, { writer: parent });
    ended = openNodeStore(directory, { writer: { ...store.writer, pid: 2 ** 22 + 1 } });
  });
  afterEach(() => {
    for (const record of store.interfaces.all()) store.interfaces.remove(record);
    for (const one of [other, ended]) one.close();
  });
  const adding = (of: NodeStore) => iface({ state: 'adding', writer: of.writer });

  test('belongs to the first: the second is told which process is at it', () => {
    other.interfaces.claim(adding(other));
    expect(failureOf(() => store.interfaces.claim(adding(store)))).toEqual([
      'try-later',
      `Cannot attach net1 to pod a/p: process ${process.ppid} is at it right now (container c1, network rail0)`,
    ]);
    expect(store.interfaces.all()).toEqual([adding(other)]);
    other.interfaces.finish(iface({ writer: other.writer }));
    expect(store.interfaces.all()).toEqual([iface({ writer: other.writer })]);
  });

  test('may be claimed again by its own process, and after one that died', () => {
    ended.interfaces.claim(adding(ended));
    store.interfaces.claim(adding(store));
    store.interfaces.claim(adding(store));
    expect(store.interfaces.all()).toEqual([adding(store)]);
  });

  test.each([
    ['gone', () => store.interfaces.remove(iface())],
    ['claimed by another', () => store.interfaces.claim(adding(store))],
  ])('is not finished by one whose record is %s', (_, meanwhile) => {
    ended.interfaces.claim(adding(ended));
    meanwhile();
    const before = store.interfaces.all();
    expect(failureOf(() => ended.interfaces.finish(iface({ writer: ended.writer })))).toEqual([
      'try-later',
      'Cannot finish net1 of pod a/p: its record was taken away meanwhile (container c1, network rail0)',
    ]);
    expect(store.interfaces.all()).toEqual(before);
  });

  test('is forgotten only by the process whose record it is', () => {
    store.interfaces.claim(adding(store));
    ended.interfaces.removeOwn(adding(ended));
    expect(store.interfaces.all()).toEqual([adding(store)]);
    store.interfaces.removeOwn(adding(store));
    expect(store.interfaces.all()).toEqual([]);
  });
});

test('attachments come in the order of their position', () => {
  for (const position of [10, 0, 2])
    store.attachments.put(attachment({ ifname: `net${position}`, position }));
  expect(store.attachments.ofContainer('c1').map((a) => a.position)).toEqual([0, 2, 10]);
  expect(store.attachments.ofPod('uid-1')).toHaveLength(3);
  expect(store.attachments.ofPod('uid-2')).toEqual([]);
});

describe('leases', () => {
  test('any spelling of an address names the same lease', () => {
    store.leases.put(lease({ address: '2001:DB8:0::1' }));
    expect(store.leases.get('', '2001:db8::1')?.address).toBe('2001:db8::1');
    store.leases.remove('', '2001:0db8::0001');
    expect(store.leases.all()).toEqual([]);
  });

  test('the families do not mix in a range, however their numbers lie', () => {
    store.leases.put(lease({ address: '10.0.0.1' }));
    store.leases.put(lease({ address: '::a00:1' }));
    expect(store.leases.inRange('', '0.0.0.0', '255.255.255.255').map((l) => l.address)).toEqual([
      '10.0.0.1',
    ]);
    expect(store.leases.inRange('', '::', 'ffff::').map((l) => l.address)).toEqual(['::a00:1']);
  });

  test('those that rest come by the time of their release', () => {
    const rest = (address: string, released: number) => lease({ address, state: 'resting', released });
    for (const one of [
      rest('10.0.0.1', 3),
      rest('10.0.0.2', 1),
      lease({ address: '10.0.0.3' }),
      rest('10.0.0.4', 2),
    ])
      store.leases.put(one);
    const range = {
      family: 4 as const,
      first: parseAddress('10.0.0.0').value,
      last: parseAddress('10.0.0.9').value,
    };
    expect(Array.from(store.leases.resting('', range), (l) => l.address)).toEqual([
      '10.0.0.2',
      '10.0.0.4',
      '10.0.0.1',
    ]);
    // Left in the middle, it holds no lock against the next write.
    for (const one of store.leases.resting('', range)) {
      store.leases.remove('', one.address);
      break;
    }
    expect(store.leases.count('', range)).toBe(3);
  });
});

test('the log is folded into the file before it grows long, although nobody closes', () => {
  for (let i = 0; i < 400; i++) store.leases.put(lease({ address: `10.0.${i >> 8}.${i & 255}` }));
  expect(statSync(join(directory, 'state.db-wal')).size).toBeLessThan(1_200_000);
  expect(store.leases.all()).toHaveLength(400);
});

test('closing folds the log away', () => {
  store.leases.put(lease());
  store.close();
  expect(existsSync(join(directory, 'state.db-wal'))).toBe(false);
  store = openNodeStore(directory);
  expect(store.leases.all()).toHaveLength(1);
});
