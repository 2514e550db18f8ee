import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { type Asking, claimRequest, LeaseWorld } from '../test/kit/lease-world.ts';
import type { LeaseStore } from './lease-store.ts';

let world: LeaseWorld;
let node: NodeStore;
let store: LeaseStore;
beforeEach(() => {
  world = new LeaseWorld();
  ({ node, store } = world);
});
afterEach(() => expect(world.close()).toEqual([]));

const request = claimRequest;
const give = (ipam: JsonObject, asking?: Asking, as?: 'claimed') => world.give(ipam, asking, as);
const free = (container: string, ifname?: string) => world.free(container, ifname);
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

  test('what an owner asks for takes the place of what it had', async () => {
    await give(small, { uid: 'u1' });
    expect(await give(small, { uid: 'u1', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
    expect(node.leases.get('', '10.0.0.2')?.state).toBe('resting');
  });

  test('what an owner no longer may have is released with the rest of its sandbox', async () => {
    await give(small, { uid: 'u1' });
    expect(await give({ range: '10.0.0.4/30' }, { uid: 'u1' })).toEqual(['10.0.0.5']);
    await free('c1');
    expect(node.leases.all().map((lease) => lease.state)).toEqual(['resting', 'resting']);
  });

  test('two plugins of one list with ranges of their own: what one claims is not given up by the other', async () => {
    const far = { range: '10.9.0.0/29' };
    const stateOf = (address: string) => node.leases.get('', address)?.state;
    await store.claim([request(small), request(far)], 'claimed');
    expect([stateOf('10.0.0.2'), stateOf('10.9.0.1')]).toEqual(['claimed', 'claimed']);
    expect(await give(small)).toEqual(['10.0.0.2']);
    expect(await give(far)).toEqual(['10.9.0.1']);
    expect([stateOf('10.0.0.2'), stateOf('10.9.0.1')]).toEqual(['held', 'held']);
    await free('c1');
    expect([stateOf('10.0.0.2'), stateOf('10.9.0.1')]).toEqual(['resting', 'resting']);
  });

  test('two plugins of one list with overlapping ranges: both keep their own through a claim of both', async () => {
    const upper = { range: '10.0.0.5-10.0.0.6/29' };
    await give(small);
    await give(upper);
    const before = node.leases.all();
    await store.claim([request(small), request(upper)], 'held');
    expect(before.map((lease) => lease.address)).toEqual(['10.0.0.2', '10.0.0.5']);
    expect(node.leases.all()).toEqual(before);
  });

  test('one container and interface on two networks: each network releases, finishes and gives its own', async () => {
    const ids = ['rail0', 'rail1'].map((network) => ({ containerId: 'c1', ifname: 'net1', network }));
    const [rail0, rail1] = ids;
    if (rail0 === undefined || rail1 === undefined) throw new Error('two networks');
    expect(await give(small, { network: 'rail0' }, 'claimed')).toEqual(['10.0.0.2']);
    expect(await give(small, { network: 'rail1' }, 'claimed')).toEqual(['10.0.0.3']);
    await expect(give(small, { network: 'rail1', ip: '10.0.0.2' })).rejects.toMatchObject({
      code: 'address-held',
    });
    await store.markHeld(rail1);
    expect((await store.ofAttachment(rail0)).map((lease) => lease.state)).toEqual(['claimed']);
    expect((await store.ofAttachment(rail1)).map((lease) => lease.state)).toEqual(['held']);
    await store.release(rail1);
    expect((await store.ofAttachment(rail0)).map((lease) => lease.address)).toEqual(['10.0.0.2']);
    expect(await store.ofAttachment(rail1)).toEqual([]);
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

  test('one whose rest a definition asked for is given to nobody but its owner before that', async () => {
    const tiny = { range: '10.0.0.0/31', reuseDelay: '10s' };
    await give(tiny, { uid: 'u1', container: 'a' });
    await give(tiny, { container: 'b' });
    await free('a');
    await expect(give(tiny, { container: 'c' })).rejects.toThrow(
      /of 2 of 10\.0\.0\.0-10\.0\.0\.1 1 are held \(ns 1\); 1 rests, the first until 1970-01-01T00:00:11/,
    );
    await expect(give(tiny, { container: 'c', ip: '10.0.0.0' })).rejects.toThrow(
      'it is kept until 1970-01-01T00:00:11',
    );
    await expect(store.ensureServing('rail0', request(tiny).sets)).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(await give(tiny, { uid: 'u1', container: 'd' })).toEqual(['10.0.0.0']);
    await free('d');
    world.pass(10_000);
    expect(await give(tiny, { container: 'c' })).toEqual(['10.0.0.0']);
  });

  test('one that is not to rest at all is gone at once, and given again', async () => {
    const none = { ...small, reuseDelay: '0s' };
    await give(none, { container: 'a' });
    await free('a');
    expect(node.leases.all()).toEqual([]);
    expect(await give(none, { container: 'b' })).toEqual(['10.0.0.2']);
  });

  test('one that is kept for a StatefulSet’s pod is given to the next pod of that name, and to nobody else', async () => {
    const kept = { range: '10.0.0.0/31', sticky: '10m' };
    const db = (owner: string, container: string) => ({
      ...request(kept, { uid: 'db-0', container }),
      owner,
    });
    await store.claim([db('first-uid', 'a')], 'held');
    await give(kept, { container: 'other' });
    await free('a');
    await expect(give(kept, { container: 'late' })).rejects.toMatchObject({ code: 'no-address' });
    const [grants = []] = await store.claim([db('second-uid', 'b')], 'held');
    expect(grants.map(({ address }) => formatAddress(address))).toEqual(['10.0.0.0']);
    await free('b');
    world.pass(600_000);
    expect(await give(kept, { container: 'late' })).toEqual(['10.0.0.0']);
  });

  test('freeing what is not held is no error', async () => {
    await free('nobody');
    expect(node.leases.all()).toEqual([]);
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

test('GC lets the leases of a network rest that nobody names, and no others', async () => {
  for (const container of ['a', 'b']) await give(small, { container });
  await give(small, { container: 'a', ifname: 'net2' });
  await give(small, { container: 'c', network: 'rail1' });
  await store.releaseAllBut('rail0', [{ containerId: 'a', ifname: 'net1' }]);
  expect(
    node.leases.all().map(({ containerId, ifname, state }) => `${containerId} ${ifname} ${state}`),
  ).toEqual(['a net1 held', 'b net1 resting', 'a net2 resting', 'c net1 held']);
});

test('GC leaves what an ADD under way has claimed, and frees what a dead one did', async () => {
  for (const container of ['live', 'dead']) await give(small, { container }, 'claimed');
  const [claimed] = node.leases.ofContainer('dead');
  if (claimed !== undefined) node.leases.put({ ...claimed, writer: world.deadWriter() });
  await store.releaseAllBut('rail0', []);
  expect(node.leases.all().map(({ containerId, state }) => `${containerId} ${state}`)).toEqual([
    'live claimed',
    'dead resting',
  ]);
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
