import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import type { AddressRange } from '../pkg/ip/range.ts';
import { checkState } from '../pkg/state/check-state.ts';
import type { LeaseRecord, NodeStore, Writer } from '../pkg/state/node-store.ts';
import { openNodeStore } from '../pkg/state/open-node-store.ts';
import { claimForPod, claimRequestOf, releaseClaims } from './claims.ts';
import { parseIpamConfig } from './config.ts';
import type { ClaimRequest, LeaseStore } from './lease-store.ts';
import { lowestFree, nodeLeaseStore } from './node-lease-store.ts';

let directory: string;
let node: NodeStore;
let store: LeaseStore;
let clock: number;
let deadWriter: Writer;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-ipam-'));
  node = openNodeStore(directory);
  clock = 1000;
  // No namespace of these tests is there; those that are need root and stand in test/faults.
  store = nodeLeaseStore(node, { kernel: { openIfThere: () => undefined }, now: () => clock++ });
  deadWriter = { ...node.writer, pid: spawnSync('true').pid ?? 1 };
});
afterEach(() => {
  expect(checkState(node).broken).toEqual([]);
  node.close();
  rmSync(directory, { recursive: true });
});

interface Asking {
  readonly container?: string;
  readonly uid?: string;
  readonly ifname?: string;
  readonly namespace?: string;
  readonly network?: string;
  readonly ip?: string;
  readonly more?: JsonObject;
}

function request(ipam: JsonObject, asking: Asking = {}): ClaimRequest {
  const { container = 'c1', uid, ifname = 'net1', namespace = 'ns', network = 'rail0', ip, more } = asking;
  const config = parseIpamConfig({ name: network, ipam, ...more });
  return claimRequestOf(config, {
    network,
    containerId: container,
    ifname,
    netns: `/run/netns/${container}`,
    args: {
      K8S_POD_NAMESPACE: namespace,
      K8S_POD_NAME: uid ?? container,
      ...(uid && { K8S_POD_UID: uid }),
      ...(ip && { IP: ip }),
    },
  });
}

async function give(ipam: JsonObject, asking: Asking = {}): Promise<string[]> {
  const [grants = []] = await store.claim([request(ipam, asking)], 'held');
  return grants.map(({ address }) => formatAddress(address));
}

const free = (container: string, ifname = 'net1') => store.release({ containerId: container, ifname });
const small = { range: '10.0.0.0/29', gateway: '10.0.0.1' }; // 2 to 6

describe('drawing', () => {
  test('the lowest free address comes first', async () => {
    for (const [i, expected] of ['10.0.0.2', '10.0.0.3', '10.0.0.4'].entries())
      expect(await give(small, { container: `c${i}` })).toEqual([expected]);
  });

  test('one address comes from each range, all or none', async () => {
    const dual = { ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/127' }] };
    expect(await give(dual, { container: 'a' })).toEqual(['10.0.0.1', 'fd00::']);
    expect(await give(dual, { container: 'b' })).toEqual(['10.0.0.2', 'fd00::1']);
    await expect(give(dual, { container: 'c' })).rejects.toThrow('no address of network rail0 is free');
    expect(node.leases.ofContainer('c')).toEqual([]);
  });

  test('two addresses from one range named twice are two addresses', async () => {
    const twice = { ipRanges: [{ range: '10.0.0.0/29' }, { range: '10.0.0.0/29' }] };
    expect(await give(twice)).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(await give(twice)).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  test('a set of alternatives goes on to the next range when one is full', async () => {
    const ranges = [[{ subnet: '10.0.0.0/30' }, { subnet: '10.0.1.0/30' }]];
    expect(await give({ ranges }, { container: 'a' })).toEqual(['10.0.0.2']);
    expect(await give({ ranges }, { container: 'b' })).toEqual(['10.0.1.2']);
  });

  test('overlapping ranges of two networks never give the same address', async () => {
    expect(await give({ range: '10.0.0.0/24' }, { container: 'a', network: 'one' })).toEqual(['10.0.0.1']);
    expect(await give({ range: '10.0.0.0/16' }, { container: 'b', network: 'two' })).toEqual(['10.0.0.2']);
  });

  test('networks of different names for their domain may give the same address', async () => {
    expect(await give({ range: '10.0.0.0/24', network_name: 'blue' }, { container: 'a' })).toEqual([
      '10.0.0.1',
    ]);
    expect(await give({ range: '10.0.0.0/24', network_name: 'red' }, { container: 'b' })).toEqual([
      '10.0.0.1',
    ]);
  });

  test('an address that stands in the configuration is reserved like any other', async () => {
    const fixed = { range: '10.0.0.0/24', addresses: [{ address: '10.0.0.1/24' }] };
    expect(await give(fixed, { container: 'a' })).toEqual(['10.0.0.2', '10.0.0.1']);
    await expect(give(fixed, { container: 'b' })).rejects.toMatchObject({ code: 'address-held' });
    expect(node.leases.ofContainer('b')).toEqual([]);
  });
});

describe('owners', () => {
  test('the same pod asking again gets its own address, also when the range is full, and its lease follows it', async () => {
    const pods = ['u1', 'u2', 'u3', 'u4', 'u5'];
    const before: string[][] = [];
    for (const uid of pods) before.push(await give(small, { uid, container: `${uid}-a` }));
    for (const [i, uid] of pods.entries())
      expect(await give(small, { uid, container: `${uid}-b` })).toEqual(before[i]);
    expect(node.leases.ofContainer('u1-b')).toHaveLength(1);
    expect(node.leases.ofContainer('u1-b')[0]?.netns).toBe('/run/netns/u1-b');
  });

  test('a DEL of an older sandbox frees nothing of the newer one', async () => {
    await give(small, { uid: 'u1', container: 'old' });
    await give(small, { uid: 'u1', container: 'new' });
    await free('old');
    expect(node.leases.ofContainer('new').map((lease) => lease.state)).toEqual(['held']);
  });

  test('two interfaces of one pod are two owners', async () => {
    expect(await give(small, { uid: 'u1', ifname: 'net1' })).toEqual(['10.0.0.2']);
    expect(await give(small, { uid: 'u1', ifname: 'net2' })).toEqual(['10.0.0.3']);
    await free('c1', 'net1');
    expect(node.leases.ofContainer('c1').map((lease) => lease.state)).toEqual(['resting', 'held']);
  });

  test('what an owner no longer may have is given up for what it may', async () => {
    await give(small, { uid: 'u1' });
    expect(await give({ range: '10.0.0.4/30' }, { uid: 'u1' })).toEqual(['10.0.0.5']);
    expect(node.leases.get('', '10.0.0.2')?.state).toBe('resting');
  });
});

describe('rest', () => {
  test('a freed address is not given again while another is free', async () => {
    await give(small, { container: 'a' });
    await free('a');
    expect(await give(small, { container: 'b' })).toEqual(['10.0.0.3']);
  });

  test('when nothing else is free, the address that was freed first is given', async () => {
    const tiny = { range: '10.0.0.0/30' };
    await give(tiny, { container: 'a' }); // .1
    await give(tiny, { container: 'b' }); // .2
    await free('b');
    await free('a');
    expect(await give(tiny, { container: 'c' })).toEqual(['10.0.0.2']);
    expect(await give(tiny, { container: 'd' })).toEqual(['10.0.0.1']);
  });

  test('its last owner gets it back as long as nobody else has it', async () => {
    await give(small, { uid: 'u1', container: 'a' });
    await give(small, { uid: 'u2', container: 'b' });
    await free('b');
    expect(await give(small, { uid: 'u2', container: 'c' })).toEqual(['10.0.0.3']);
  });

  test('a resting address that has been excluded since is not given', async () => {
    await give({ range: '10.0.0.0/30' }, { container: 'a' });
    await free('a');
    expect(await give({ range: '10.0.0.0/30', exclude: ['10.0.0.1'] }, { container: 'b' })).toEqual([
      '10.0.0.2',
    ]);
    await expect(give({ range: '10.0.0.0/30', exclude: ['10.0.0.1'] }, { container: 'c' })).rejects.toThrow(
      'is free',
    );
  });

  test('freeing what is not held is no error', async () => {
    await free('nobody');
    expect(node.leases.all()).toEqual([]);
  });
});

describe('requested addresses', () => {
  const wide = {
    range: '10.0.0.0/24',
    range_start: '10.0.0.100',
    gateway: '10.0.0.1',
    exclude: ['10.0.0.9'],
  };

  test('a free one is given, also below range_start, and reserved', async () => {
    expect(await give(wide, { container: 'a', ip: '10.0.0.5/24' })).toEqual(['10.0.0.5']);
    await expect(give(wide, { container: 'b', ip: '10.0.0.5' })).rejects.toMatchObject({
      code: 'address-held',
      message:
        'Cannot give 10.0.0.5 to pod ns/b on network rail0: pod ns/a holds it as net1 on network rail0 since 1970-01-01T00:00:01.000Z (container a)',
    });
  });

  test('its holder may ask for it again', async () => {
    await give(wide, { uid: 'u1', container: 'a', ip: '10.0.0.5' });
    expect(await give(wide, { uid: 'u1', container: 'b', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
  });

  test('another interface of the same pod is another holder', async () => {
    await give(wide, { uid: 'u1', ip: '10.0.0.5' });
    await expect(give(wide, { uid: 'u1', ifname: 'net2', ip: '10.0.0.5' })).rejects.toThrow(
      'holds it as net1',
    );
  });

  test('a resting one is given', async () => {
    await give(wide, { container: 'a', ip: '10.0.0.5' });
    await free('a');
    expect(await give(wide, { container: 'b', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
  });

  test.each([
    ['10.0.0.1', 'it is the gateway'],
    ['10.0.0.9', 'it is excluded'],
    ['10.0.0.0', 'it is the network or broadcast address'],
    ['10.0.0.255', 'it is the network or broadcast address'],
    ['10.0.1.5', 'it lies in no range of the network'],
    ['fd00::5', 'it lies in no range of the network'],
  ])('%s is refused, since %s', async (ip, why) => {
    await expect(give(wide, { ip })).rejects.toMatchObject({
      code: 'bad-config',
      message: `Cannot give requested address ${ip} to pod ns/c1 on network rail0: ${why}`,
    });
    expect(node.leases.all()).toEqual([]);
  });

  test('one takes the place of the address that its range would have drawn; the other ranges draw', async () => {
    const dual = { ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/64' }] };
    expect(await give(dual, { ip: 'fd00::77' })).toEqual(['10.0.0.1', 'fd00::77']);
    expect(await give(dual, { container: 'b', ip: 'fd00::78,10.0.0.9' })).toEqual(['10.0.0.9', 'fd00::78']);
  });

  test('a requested address is not drawn for another range of the same request before its turn', async () => {
    const overlapping = { ipRanges: [{ range: '10.0.0.0/16' }, { range: '10.0.0.0/24' }] };
    const more = { runtimeConfig: { ips: ['10.0.0.1', '10.0.0.2'] } };
    expect(await give(overlapping, { more })).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(await give(overlapping, { container: 'b', ip: '10.0.0.3' })).toEqual(['10.0.0.3', '10.0.0.4']);
  });

  test('runtimeConfig and args.cni take the place of CNI_ARGS', async () => {
    const more = { args: { cni: { ips: ['10.0.0.5'] } } };
    expect(await give(wide, { ip: '10.0.0.6', more })).toEqual(['10.0.0.5']);
  });

  test('CNI_ARGS that hold no address are refused', () => {
    expect(() => request(wide, { ip: '10.0.0.5,x' })).toThrow(
      'Cannot use CNI_ARGS: IP is no IP address ("x")',
    );
  });
});

describe('a range that is exhausted', () => {
  test('says how much is held and by whom', async () => {
    for (let i = 0; i < 5; i++)
      await give(small, {
        container: `c${i}`,
        namespace: i < 3 ? 'team-a' : 'team-b',
        network: i < 4 ? 'rail0' : 'rail1',
      });
    await expect(give(small, { container: 'late' })).rejects.toMatchObject({
      code: 'no-address',
      message:
        'Cannot give net1 of pod ns/late an address: no address of network rail0 is free, all 5 of 10.0.0.2-10.0.0.6 are held (team-a 3, team-b 1, team-b on rail1 1)',
    });
    await expect(store.ensureServing('rail0', request(small).sets)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Cannot serve ADD: no address of network rail0 is free'),
    });
  });

  test('serves again when an address rests', async () => {
    for (let i = 0; i < 5; i++) await give(small, { container: `c${i}` });
    await free('c3');
    await store.ensureServing('rail0', request(small).sets);
    expect(await give(small, { container: 'late' })).toEqual(['10.0.0.5']);
  });
});

describe('claims', () => {
  test('all attachments of a pod are claimed at once, and their ADDs find their own', async () => {
    const requests = [
      request(small, { uid: 'u1', ifname: 'net1' }),
      request({ range: 'fd00::/64' }, { uid: 'u1', ifname: 'net2', network: 'rail1' }),
    ];
    const grants = await claimForPod(store, requests);
    expect(grants.map((one) => one.map(({ address }) => formatAddress(address)))).toEqual([
      ['10.0.0.2'],
      ['fd00::1'],
    ]);
    expect(node.leases.all().map((lease) => lease.state)).toEqual(['claimed', 'claimed']);
    expect(await give(small, { uid: 'u1' })).toEqual(['10.0.0.2']);
    await store.markHeld({ containerId: 'c1', ifname: 'net2' });
    expect(node.leases.all().map((lease) => lease.state)).toEqual(['held', 'held']);
    await releaseClaims(store, requests);
    expect(node.leases.all().map((lease) => lease.state)).toEqual(['resting', 'resting']);
  });

  test('when one attachment finds no address, none is claimed', async () => {
    await give({ range: 'fd00::/128' }, { container: 'other' });
    const requests = [request(small), request({ range: 'fd00::/128' }, { ifname: 'net2' })];
    await expect(claimForPod(store, requests)).rejects.toMatchObject({ code: 'no-address' });
    expect(node.leases.ofContainer('c1')).toEqual([]);
  });

  test('a claim whose process died and whose namespace is gone is given to another, as the last resort', async () => {
    for (let i = 0; i < 5; i++) await give(small, { container: `c${i}` });
    const [lease] = node.leases.ofContainer('c2');
    const died = { ...lease, state: 'claimed', writer: deadWriter } as LeaseRecord;
    node.leases.put({ ...died, writer: node.writer });
    await expect(give(small, { container: 'late' })).rejects.toThrow('is free'); // its process lives
    node.leases.put({ ...died, state: 'held' });
    await expect(give(small, { container: 'late' })).rejects.toThrow('is free'); // its ADD was done
    node.leases.put(died);
    await store.ensureServing('rail0', request(small).sets);
    expect(await give(small, { container: 'late' })).toEqual([died.address]);
  });
});

test('GC lets the leases of a network rest that nobody names, and no others', async () => {
  for (const container of ['a', 'b']) await give(small, { container });
  await give(small, { container: 'a', ifname: 'net2' });
  await give(small, { container: 'c', network: 'rail1' });
  await store.releaseAllBut('rail0', [{ containerId: 'a', ifname: 'net1' }]);
  expect(
    node.leases.all().map(({ containerId, ifname, state }) => `${containerId} ${ifname} ${state}`),
  ).toEqual(['a net1 held', 'b net1 resting', 'a net2 resting', 'c net1 held']);
});

test('the lowest free address is what a walk through the range would find', () => {
  const range: AddressRange = { family: 4, first: 10n, last: 40n };
  const taken = fc.uniqueArray(fc.bigInt(0n, 50n));
  fc.assert(
    fc.property(taken, fc.bigInt(10n, 40n), (values, dense) => {
      const set = new Set(values);
      for (let value = 10n; value < dense; value++) set.add(value);
      let walked: bigint | undefined;
      for (let value = range.first; value <= range.last && walked === undefined; value++)
        if (!set.has(value)) walked = value;
      const count = ({ first, last }: AddressRange) =>
        BigInt([...set].filter((v) => v >= first && v <= last).length);
      expect(lowestFree(range, count)).toBe(walked);
    }),
  );
});

test('whatever comes and goes: no address twice, none that may not be given, and none refused while one is free', async () => {
  // Two networks whose ranges overlap, one with a hole, one dual stack.
  const networks: Record<string, JsonObject> = {
    one: { range: '10.0.0.0/28', gateway: '10.0.0.1', exclude: ['10.0.0.4/31'] },
    two: {
      ipRanges: [{ range: '10.0.0.6-10.0.0.20/27' }, { range: 'fd00::/125' }],
      gateway: ['10.0.0.9', 'fd00::1'],
    },
  };
  const mayGive: Record<string, (text: string) => boolean> = {
    one: (text) => text.startsWith('10.') && ![0, 1, 4, 5, 15].includes(last(text)) && last(text) < 16,
    two: (text) =>
      text.startsWith('10.')
        ? last(text) >= 6 && last(text) <= 20 && last(text) !== 9
        : ['2', '3', '4', '5', '6', '7'].includes(text.slice(6)),
  };
  const last = (text: string) => Number(text.split('.').at(-1));
  const step = fc.record({
    add: fc.boolean(),
    network: fc.constantFrom('one', 'two'),
    pod: fc.integer({ min: 0, max: 15 }),
    sandbox: fc.constantFrom('a', 'b'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      for (const { domain, address } of node.leases.all()) node.leases.remove(domain, address);
      /** Who holds what: pod and network, its sandbox, its addresses. */
      const model = new Map<string, { sandbox: string; addresses: string[] }>();
      for (const { add, network, pod, sandbox } of steps) {
        const key = `${network} ${pod}`;
        const container = `${pod}-${sandbox}`;
        const ifname = `${network}0`;
        const before = model.get(key);
        if (!add) {
          await free(container, ifname);
          if (before?.sandbox === sandbox) model.delete(key);
          continue;
        }
        const others = new Set(
          [...model].flatMap(([other, { addresses }]) => (other === key ? [] : addresses)),
        );
        const ipam = networks[network] ?? {};
        try {
          const addresses = await give(ipam, { network, uid: `u${pod}`, container, ifname });
          for (const address of addresses) {
            expect(others.has(address)).toBe(false);
            expect(mayGive[network]?.(address)).toBe(true);
          }
          if (before !== undefined) expect(addresses).toEqual(before.addresses);
          model.set(key, { sandbox, addresses });
        } catch (error) {
          expect(error).toMatchObject({ code: 'no-address' });
          expect(before).toBeUndefined();
          const full = request(ipam, { network }).sets.some((pools) =>
            pools.every((pool) =>
              pool.usable.every((range) => {
                for (let value = range.first; value <= range.last; value++)
                  if (!others.has(formatAddress({ family: range.family, value }))) return false;
                return true;
              }),
            ),
          );
          expect(full).toBe(true);
        }
      }
      const held = node.leases.all().filter((lease) => lease.state !== 'resting');
      expect(held.map((lease) => lease.address).sort()).toEqual(
        [...model.values()].flatMap((m) => m.addresses).sort(),
      );
    }),
    { numRuns: 40 },
  );
});

test('among 10,000 leases and 3000 exclusions in a /16 and in a /64 the lowest free address is found', async () => {
  const exclude = Array.from({ length: 3000 }, (_, i) => `10.1.${i >> 5}.${(i & 31) * 8 + 3}`);
  const wide = { ipRanges: [{ range: '10.1.0.0/16', exclude }, { range: 'fd01::/64' }] };
  const [four, six] = [parseAddress('10.1.0.1').value, parseAddress('fd01::1').value];
  node.transaction(() => {
    for (let i = 0; i < 10_000; i++)
      for (const address of [
        formatAddress({ family: 4, value: four + BigInt(i) }),
        formatAddress({ family: 6, value: six + BigInt(i) }),
      ])
        node.leases.put({
          domain: '',
          address,
          network: 'rail0',
          owner: `u${i}`,
          ifname: 'net1',
          containerId: `x${i}`,
          pod: {},
          netns: '/n',
          state: 'held',
          acquired: 1,
          writer: node.writer,
        });
  });
  expect(await give(wide)).toEqual(['10.1.39.17', 'fd01::2711']);
});
