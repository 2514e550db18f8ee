import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { type Asking, claimRequest, LeaseWorld } from '../test/kit/lease-world.ts';

let world: LeaseWorld;
let node: NodeStore;
beforeEach(() => {
  world = new LeaseWorld();
  node = world.node;
});
afterEach(() => expect(world.close()).toEqual([]));

const request = claimRequest;
const give = (ipam: JsonObject, asking?: Asking) => world.give(ipam, asking);
const free = (container: string, ifname?: string) => world.free(container, ifname);

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
