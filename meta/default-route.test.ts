import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Route } from '../pkg/kernel/kernel.ts';
import { planDefaultRoute, resultWithDefaultRoute } from './default-route.ts';

const route = (index: number, gateway: string | undefined, more: Partial<Route> = {}): Route => ({
  dst: gateway?.includes(':') ? '::/0' : '0.0.0.0/0',
  gateway,
  index,
  source: undefined,
  priority: 0,
  table: 254,
  scope: 0,
  type: 1,
  protocol: 3,
  mtu: undefined,
  advmss: undefined,
  ...more,
});
const ETH0 = 2;
const NET1 = 3;

describe('the default route of a pod', () => {
  test.each([
    {
      name: 'moves to the gateway asked for',
      routes: [route(ETH0, '10.0.0.1')],
      gateways: ['10.1.0.1'],
      remove: ['10.0.0.1'],
      add: ['10.1.0.1'],
    },
    {
      name: 'of the other family stays',
      routes: [route(ETH0, '10.0.0.1'), route(ETH0, 'fd00::1')],
      gateways: ['fd01::1'],
      remove: ['fd00::1'],
      add: ['fd01::1'],
    },
    {
      name: 'of both families moves',
      routes: [route(ETH0, '10.0.0.1'), route(ETH0, 'fd00::1')],
      gateways: ['10.1.0.1', 'fd01::1'],
      remove: ['10.0.0.1', 'fd00::1'],
      add: ['10.1.0.1', 'fd01::1'],
    },
    {
      name: "is the network's own where no gateway is named",
      routes: [route(ETH0, '10.0.0.1'), route(NET1, '10.1.0.1'), route(ETH0, 'fd00::1')],
      gateways: [],
      remove: ['10.0.0.1'],
      add: [],
    },
    {
      name: "goes by the gateway asked for, not by the network's own",
      routes: [route(ETH0, '10.0.0.1'), route(NET1, '10.1.0.1')],
      gateways: ['10.1.0.254'],
      remove: ['10.0.0.1', '10.1.0.1'],
      add: ['10.1.0.254'],
    },
    {
      name: 'is left as it is where it is right already',
      routes: [route(NET1, '10.1.0.1')],
      gateways: ['10.1.0.1'],
      remove: [],
      add: [],
    },
    {
      name: 'is no business of other routes, tables and types',
      routes: [
        route(ETH0, '10.0.0.1', { dst: '10.9.0.0/16' }),
        route(ETH0, '10.0.0.1', { table: 100 }),
        route(ETH0, '10.0.0.1', { type: 7 }),
      ],
      gateways: ['10.1.0.1'],
      remove: [],
      add: ['10.1.0.1'],
    },
  ])('$name', ({ routes, gateways, remove, add }) => {
    const change = planDefaultRoute(routes, NET1, gateways);
    expect(change.remove.map((one) => one.gateway)).toEqual(remove);
    expect(change.add.map((one) => one.gateway)).toEqual(add);
    expect(change.add.every((one) => one.index === NET1)).toBe(true);
  });

  test('there is none to give where nobody names a gateway', () => {
    expect(planDefaultRoute([route(ETH0, '10.0.0.1')], NET1, [])).toEqual({
      remove: [],
      add: [],
      families: [],
    });
  });

  test('after the change there is nothing left to change', () => {
    const gateway = fc.constantFrom('10.0.0.1', '10.1.0.1', 'fd00::1', 'fd01::1');
    const routes = fc.array(
      fc.tuple(fc.constantFrom(ETH0, NET1, 4), gateway).map(([index, gw]) => route(index, gw)),
    );
    fc.assert(
      fc.property(routes, fc.uniqueArray(gateway), (before, gateways) => {
        const change = planDefaultRoute(before, NET1, gateways);
        const after = [
          ...before.filter((one) => !change.remove.includes(one)),
          ...change.add.map((one) => route(NET1, one.gateway)),
        ];
        const again = planDefaultRoute(after, NET1, gateways);
        expect([again.remove, again.add]).toEqual([[], []]);
      }),
    );
  });
});

test('the results say afterwards what is true', () => {
  const before = {
    routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }, { dst: '10.9.0.0/16' }, { dst: '::/0', gw: 'fd00::1' }],
  };
  const wish = { ifname: 'net1', gateways: ['10.1.0.1'] };
  expect(resultWithDefaultRoute(before, 'eth0', wish, [4]).routes).toEqual([
    { dst: '10.9.0.0/16' },
    { dst: '::/0', gw: 'fd00::1' },
  ]);
  expect(resultWithDefaultRoute(before, 'net1', wish, [4]).routes).toEqual([
    { dst: '10.9.0.0/16' },
    { dst: '::/0', gw: 'fd00::1' },
    { dst: '0.0.0.0/0', gw: '10.1.0.1' },
  ]);
  expect(resultWithDefaultRoute(before, 'net1', { ...wish, gateways: [] }, [4])).toEqual(before);
});
