import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import type { LeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import { type Asking, claimRequest, LeaseWorld } from '../test/kit/lease-world.ts';
import { claimForPod, releaseClaims } from './claims.ts';
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
const give = (ipam: JsonObject, asking?: Asking) => world.give(ipam, asking);
const small = { range: '10.0.0.0/29', gateway: '10.0.0.1' }; // 2 to 6

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
    await store.markHeld({ containerId: 'c1', ifname: 'net2', network: 'rail1' });
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
    const died = { ...lease, state: 'claimed', writer: world.deadWriter() } as LeaseRecord;
    node.leases.put({ ...died, writer: node.writer });
    await expect(give(small, { container: 'late' })).rejects.toThrow('is free'); // its process lives
    node.leases.put({ ...died, state: 'held' });
    await expect(give(small, { container: 'late' })).rejects.toThrow('is free'); // its ADD was done
    node.leases.put(died);
    await store.ensureServing('rail0', request(small).sets);
    expect(await give(small, { container: 'late' })).toEqual([died.address]);
  });
});
