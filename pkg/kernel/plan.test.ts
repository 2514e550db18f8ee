import { expect, test } from 'vitest';
import type { Address, Link, Route } from './kernel.ts';
import {
  describeStep,
  type InterfaceFacts,
  NOTHING_THERE,
  planInterface,
  type WantedInterface,
} from './plan.ts';

const link: Link = {
  index: 7,
  name: 'net1',
  mac: '02:00:00:00:00:01',
  permMac: undefined,
  mtu: 1500,
  maxMtu: 65535,
  up: true,
  running: true,
  loopback: false,
  infiniband: false,
  promisc: false,
  allmulti: false,
  multicast: true,
  arp: true,
  txQueueLength: 1000,
  group: 0,
  alias: undefined,
  altnames: [],
  kind: 'macvlan',
  parentIndex: 3,
  parentNetnsId: 0,
  portName: undefined,
  portId: undefined,
  masterIndex: undefined,
  device: undefined,
  macvlan: { mode: 'bridge', bcQueueLength: 1000 },
  vfs: [],
};
const address = (cidr: string): Address => ({ index: 7, cidr, scope: 0, flags: ['permanent'] });
const route = (dst: string, more: Partial<Route> = {}): Route => ({
  dst,
  gateway: undefined,
  index: 7,
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

const want: WantedInterface = {
  name: 'net1',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  macvlan: { name: 'net1', parentIndex: 3, mode: 'bridge' },
  addresses: ['10.1.2.3/24', '2001:db8::3/64'],
  routes: [{ dst: '10.9.0.0/16', gateway: '10.1.2.1' }],
  sysctls: [{ path: 'net/ipv6/conf/net1/disable_ipv6', value: '0', required: true }],
  dadTimeoutMs: 5000,
};
const have: InterfaceFacts = {
  link,
  addresses: [address('10.1.2.3/24'), address('2001:db8::3/64')],
  routes: [route('10.9.0.0/16', { gateway: '10.1.2.1' })],
  sysctls: { 'net/ipv6/conf/net1/disable_ipv6': '0' },
};

const textOf = (facts: InterfaceFacts, wanted = want) =>
  planInterface(wanted, facts).map((step) => describeStep(step, 'net1'));

test('what is as wanted needs no step', () => {
  expect(planInterface(want, have)).toEqual([]);
});

test('from nothing: link, sysctl, addresses, up, duplicate address detection, routes, in this order', () => {
  expect(planInterface(want, NOTHING_THERE).map((step) => step.do)).toEqual([
    'create-macvlan',
    'write-sysctl',
    'add-address',
    'add-address',
    'set-up',
    'wait-for-dad',
    'add-route',
  ]);
});

test.each<[string, Partial<InterfaceFacts>, string[]]>([
  [
    'an address is gone',
    { addresses: [address('10.1.2.3/24')] },
    ['net1 lacks the address 2001:db8::3/64', 'an IPv6 address of net1 is still tentative'],
  ],
  ['the route is gone', { routes: [] }, ['net1 lacks the route 10.9.0.0/16 via 10.1.2.1']],
  [
    'the route has another gateway',
    { routes: [route('10.9.0.0/16', { gateway: '10.1.2.9' })] },
    ['net1 lacks the route 10.9.0.0/16 via 10.1.2.1'],
  ],
  ['the link is down', { link: { ...link, up: false } }, ['net1 is down']],
  [
    'the MAC differs',
    { link: { ...link, mac: '02:00:00:00:00:09' } },
    ['net1 has mac 02:00:00:00:00:09, not mac 02:00:00:00:00:01'],
  ],
  ['the MTU differs', { link: { ...link, mtu: 1400 } }, ['net1 has mtu 1400, not mtu 1500']],
  [
    'a sysctl differs',
    { sysctls: { 'net/ipv6/conf/net1/disable_ipv6': '1' } },
    ['net/ipv6/conf/net1/disable_ipv6 is 1, not 0'],
  ],
])('when %s the plan says just that', (_what, change, texts) => {
  expect(textOf({ ...have, ...change })).toEqual(texts);
});

test.each<[string, Partial<Link>, string]>([
  ['another kind', { kind: 'veth', macvlan: undefined }, 'it is a veth link, not a macvlan'],
  [
    'another mode',
    { macvlan: { mode: 'vepa', bcQueueLength: 1000 } },
    'its macvlan mode is vepa, not bridge',
  ],
  ['another parent', { parentIndex: 4 }, 'its parent is the link with index 4, not 3'],
])('a link of %s is replaced, and all on it made anew', (_what, change, why) => {
  const steps = planInterface(want, { ...have, link: { ...link, ...change } });
  expect(steps[0]).toEqual({ do: 'delete-link', index: 7, why });
  expect(steps.map((step) => step.do)).toContain('add-route');
});

test('a route that names no table may stand in any table: sbr moves it', () => {
  expect(
    planInterface(want, { ...have, routes: [route('10.9.0.0/16', { gateway: '10.1.2.1', table: 100 })] }),
  ).toEqual([]);
});

test.each([
  ['table', 100],
  ['priority', 50],
  ['scope', 253],
  ['mtu', 1400],
  ['advmss', 1200],
] as const)('a route is not there when its %s differs', (key, value) => {
  const wanted = { ...want, routes: [{ dst: '10.9.0.0/16', gateway: '10.1.2.1', [key]: value }] };
  expect(textOf(have, wanted)).toHaveLength(1);
  const there = { ...have, routes: [route('10.9.0.0/16', { gateway: '10.1.2.1', [key]: value })] };
  expect(textOf(there, wanted)).toEqual([]);
});
