import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import type { AddressRange } from '../pkg/ip/range.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { type Asking, claimRequest, LeaseWorld } from '../test/kit/lease-world.ts';
import { lowestFree } from './lowest-free.ts';

let world: LeaseWorld;
let node: NodeStore;
beforeEach(() => {
  world = new LeaseWorld();
  node = world.node;
});
afterEach(() => expect(world.close()).toEqual([]));

const request = claimRequest;
const give = (ipam: JsonObject, asking?: Asking) => world.give(ipam, asking);
const free = (container: string, ifname: string, network: string) => world.free(container, ifname, network);

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
          await free(container, ifname, network);
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
