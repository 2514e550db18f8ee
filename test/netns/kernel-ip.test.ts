import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultRouteLinks } from '../../pkg/kernel/default-route.ts';
import type { Kernel, Namespace, Route } from '../../pkg/kernel/kernel.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { connect, makeNetns, type TestNetns } from '../kit/netns.ts';

let kernel: Kernel;
let pod: TestNetns;
let peer: TestNetns;
let inside: Namespace;
let eth: number;

beforeEach(() => {
  kernel = createKernel();
  pod = makeNetns();
  peer = makeNetns();
  connect(pod, 'eth0', peer, 'wire');
  inside = kernel.open(pod.path);
  eth = inside.link({ name: 'eth0' })?.index ?? 0;
});
afterEach(() => {
  inside.close();
  pod[Symbol.dispose]();
  peer[Symbol.dispose]();
});

const where = () => `eth0 (index ${eth}) in ${pod.path}`;
const cidrs = () => inside.addresses(eth).map(({ cidr }) => cidr);
const routesTo = (dst: string): Route[] =>
  inside.routes().filter((route) => route.dst === dst && route.table !== 255);

describe('addresses', () => {
  test('of both families are added, listed as `ip` lists them, and removed', () => {
    inside.addAddress(eth, { cidr: '10.1.2.3/24' });
    inside.addAddress(eth, { cidr: '2001:db8::3/64', nodad: true });
    expect(inside.addresses(eth)).toEqual([
      { index: eth, cidr: '10.1.2.3/24', scope: 0, flags: ['permanent'] },
      { index: eth, cidr: '2001:db8::3/64', scope: 0, flags: ['nodad', 'permanent'] },
      { index: eth, cidr: expect.stringMatching(/^fe80::.*\/64$/), scope: 253, flags: expect.anything() },
    ]);
    const [said] = pod.ip('addr', 'show', 'eth0');
    expect(said).toMatchObject({
      addr_info: [
        { family: 'inet', local: '10.1.2.3', prefixlen: 24, broadcast: '10.1.2.255', scope: 'global' },
        { family: 'inet6', local: '2001:db8::3', prefixlen: 64, nodad: true },
        { family: 'inet6' },
      ],
    });
    inside.removeAddress(eth, '10.1.2.3/24');
    inside.removeAddress(eth, '2001:db8::3/64');
    expect(cidrs()).toEqual([expect.stringMatching(/^fe80::/)]);
  });

  test('of one link only, or of all', () => {
    inside.addAddress(eth, { cidr: '10.1.2.3/24' });
    expect(cidrs()).not.toContain('127.0.0.1/8');
    expect(inside.addresses().map(({ cidr }) => cidr)).toEqual(
      expect.arrayContaining(['127.0.0.1/8', '::1/128', '10.1.2.3/24']),
    );
  });

  test('a second one of a network is secondary', () => {
    inside.addAddress(eth, { cidr: '10.1.2.3/24' });
    inside.addAddress(eth, { cidr: '10.1.2.4/24' });
    expect(inside.addresses(eth)[1]).toMatchObject({
      cidr: '10.1.2.4/24',
      flags: ['secondary', 'permanent'],
    });
  });

  test('a pair and a single host have no broadcast address', () => {
    inside.addAddress(eth, { cidr: '10.1.2.2/31' });
    inside.addAddress(eth, { cidr: '10.1.3.2/32' });
    const [said] = pod.ip('-4', 'addr', 'show', 'eth0');
    for (const address of Reflect.get(Object(said), 'addr_info'))
      expect(address).not.toHaveProperty('broadcast');
  });

  test('adding and removing twice are no errors', () => {
    for (const cidr of ['10.1.2.3/24', '2001:db8::3/64']) {
      inside.addAddress(eth, { cidr });
      inside.addAddress(eth, { cidr });
      expect(cidrs().filter((one) => one === cidr)).toHaveLength(1);
      inside.removeAddress(eth, cidr);
      inside.removeAddress(eth, cidr);
      expect(cidrs()).not.toContain(cidr);
    }
    inside.removeAddress(4711, '10.1.2.3/24');
  });

  test('that cannot be added say where and why', () => {
    expect(() => inside.addAddress(4711, { cidr: '10.1.2.3/24' })).toThrow(
      `Cannot add address 10.1.2.3/24 to link 4711 in ${pod.path}: ENODEV`,
    );
    inside.writeSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
    expect(() => inside.addAddress(eth, { cidr: '2001:db8::3/64' })).toThrow(
      /^Cannot add address 2001:db8::3\/64 to eth0 .*: EACCES: .*IPv6 is disabled on this device/,
    );
    expect(() => inside.addAddress(eth, { cidr: '10.1.2.3/40' })).toThrow(
      expect.objectContaining({ code: 'bad-config' }),
    );
  });

  test('of a link that is not there are an error', () => {
    expect(() => inside.addresses(4711)).toThrow(expect.objectContaining({ code: 'not-found' }));
  });
});

describe('duplicate address detection', () => {
  test('is waited for', () => {
    inside.addAddress(eth, { cidr: '2001:db8::3/64' });
    expect(inside.addresses(eth).find(({ cidr }) => cidr === '2001:db8::3/64')?.flags).toContain('tentative');
    inside.waitForDad(eth, 10_000);
    expect(inside.addresses(eth).filter(({ flags }) => flags.includes('tentative'))).toEqual([]);
  });

  test('that finds another holder names the address', () => {
    const other = kernel.open(peer.path);
    try {
      const wire = other.link({ name: 'wire' })?.index ?? 0;
      other.addAddress(wire, { cidr: '2001:db8::3/64', nodad: true });
      inside.addAddress(eth, { cidr: '2001:db8::3/64' });
      expect(() => inside.waitForDad(eth, 10_000)).toThrow(
        expect.objectContaining({
          code: 'kernel',
          errno: 'EADDRINUSE',
          message: `Cannot use address 2001:db8::3/64 on ${where()}: another machine on this network has it`,
        }),
      );
    } finally {
      other.close();
    }
  });

  test('that does not end within the time says which address waits', () => {
    inside.setLink(eth, { up: false });
    inside.addAddress(eth, { cidr: '2001:db8::3/64' });
    expect(() => inside.waitForDad(eth, 30)).toThrow(
      `Cannot use address 2001:db8::3/64 on ${where()}: still tentative after 30 ms`,
    );
  });
});

describe('routes', () => {
  beforeEach(() => {
    inside.addAddress(eth, { cidr: '10.1.2.3/24' });
    inside.addAddress(eth, { cidr: '2001:db8::3/64', nodad: true });
  });

  test.each([
    [4, '10.9.0.0/16', '10.1.2.1', '10.1.2.3'],
    [4, '0.0.0.0/0', '10.1.2.1', '10.1.2.3'],
    [6, '2001:db8:9::/48', '2001:db8::1', '2001:db8::3'],
    [6, '::/0', '2001:db8::1', '2001:db8::3'],
  ])('IPv%i to %s carries all that CNI 1.1 can say', (family, dst, gateway, source) => {
    const route = { dst, gateway, index: eth, source, priority: 77, table: 1000, mtu: 1400, advmss: 1300 };
    inside.addRoute(route);
    expect(routesTo(dst)).toEqual([{ ...route, scope: 0, type: 1, protocol: 3 }]);
    const [said] = pod.ip(`-${family}`, 'route', 'show', 'table', '1000');
    expect(said).toMatchObject({
      gateway,
      dev: 'eth0',
      prefsrc: source,
      metric: 77,
      metrics: [{ mtu: 1400, advmss: 1300 }],
    });
    inside.removeRoute(route);
    expect(routesTo(dst)).toEqual([]);
  });

  test('without a gateway are on the link', () => {
    inside.addRoute({ dst: '10.9.0.0/16', index: eth });
    inside.addRoute({ dst: '2001:db8:9::/48', index: eth });
    expect(routesTo('10.9.0.0/16')).toEqual([
      expect.objectContaining({ scope: 253, gateway: undefined, index: eth }),
    ]);
    expect(routesTo('2001:db8:9::/48')).toEqual([
      expect.objectContaining({ gateway: undefined, index: eth }),
    ]);
  });

  test('take the scope that they are given', () => {
    inside.addRoute({ dst: '10.9.0.0/16', index: eth, scope: 254 });
    expect(routesTo('10.9.0.0/16')[0]?.scope).toBe(254);
    inside.removeRoute({ dst: '10.9.0.0/16', index: eth, scope: 253 });
    expect(routesTo('10.9.0.0/16')).toHaveLength(1);
    inside.removeRoute({ dst: '10.9.0.0/16', index: eth, scope: 254 });
    expect(routesTo('10.9.0.0/16')).toEqual([]);
  });

  test('host bits of a destination are dropped, as the kernel takes none', () => {
    inside.addRoute({ dst: '10.9.1.2/16', index: eth });
    expect(routesTo('10.9.0.0/16')).toHaveLength(1);
  });

  test('a second IPv6 route to one destination makes two equal ones, and each is removed alone', () => {
    inside.addRoute({ dst: '::/0', gateway: '2001:db8::1', index: eth });
    inside.addRoute({ dst: '::/0', gateway: '2001:db8::2', index: eth });
    expect(routesTo('::/0').map(({ gateway }) => gateway)).toEqual(['2001:db8::1', '2001:db8::2']);
    inside.removeRoute({ dst: '::/0', gateway: '2001:db8::1', index: eth });
    expect(routesTo('::/0').map(({ gateway }) => gateway)).toEqual(['2001:db8::2']);
  });

  test('of several next hops are listed hop by hop', () => {
    pod.exec(
      'ip',
      'route',
      'add',
      '10.9.0.0/16',
      'nexthop',
      'via',
      '10.1.2.1',
      'dev',
      'eth0',
      'nexthop',
      'via',
      '10.1.2.2',
      'dev',
      'eth0',
    );
    expect(routesTo('10.9.0.0/16').map(({ gateway, index }) => [gateway, index])).toEqual([
      ['10.1.2.1', eth],
      ['10.1.2.2', eth],
    ]);
  });

  test('to IPv4 can go over an IPv6 router', () => {
    inside.addRoute({ dst: '10.9.0.0/16', gateway: '2001:db8::1', index: eth });
    expect(routesTo('10.9.0.0/16').map(({ gateway }) => gateway)).toEqual(['2001:db8::1']);
    inside.removeRoute({ dst: '10.9.0.0/16', gateway: '2001:db8::1', index: eth });
    expect(routesTo('10.9.0.0/16')).toEqual([]);
  });

  test('adding and removing twice are no errors', () => {
    for (const [dst, gateway] of [
      ['10.9.0.0/16', '10.1.2.1'],
      ['2001:db8:9::/48', '2001:db8::1'],
    ] as const) {
      const route = { dst, gateway, index: eth };
      inside.addRoute(route);
      inside.addRoute(route);
      expect(routesTo(dst)).toHaveLength(1);
      inside.removeRoute(route);
      inside.removeRoute(route);
      inside.removeRoute({ ...route, index: 4711 });
      expect(routesTo(dst)).toEqual([]);
    }
  });

  test('that are refused say where and why', () => {
    expect(() => inside.addRoute({ dst: '10.9.0.0/16', gateway: '10.77.0.1', index: eth, table: 9 })).toThrow(
      `Cannot add route 10.9.0.0/16 via 10.77.0.1 table 9 on ${where()}: ENETUNREACH: Nexthop has invalid gateway`,
    );
    expect(() => inside.addRoute({ dst: '10.9.0.0/16', index: 4711 })).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
  });

  test('by default tell which links cut the machine off when taken', () => {
    expect(defaultRouteLinks(inside)).toEqual([]);
    inside.addRoute({ dst: '::/0', gateway: '2001:db8::1', index: eth });
    expect(defaultRouteLinks(inside)).toEqual([eth]);
    inside.addRoute({ dst: '0.0.0.0/0', gateway: '10.1.2.1', index: eth, table: 500 });
    expect(defaultRouteLinks(inside)).toEqual([eth]);
    pod.exec('ip', 'route', 'add', 'blackhole', 'default');
    expect(defaultRouteLinks(inside)).toEqual([eth]);
  });
});

describe('neighbours', () => {
  test.each(['10.1.2.9', '2001:db8::9'])('%s is added, replaced and removed', (address) => {
    const neighbour = { index: eth, address, mac: '02:00:5e:00:53:09', permanent: true };
    inside.addNeighbour(neighbour);
    expect(inside.neighbours(eth)).toContainEqual(neighbour);
    const moved = { ...neighbour, mac: '02:00:5e:00:53:0a' };
    inside.addNeighbour(moved);
    expect(inside.neighbours(eth)).toContainEqual(moved);
    expect(inside.neighbours(eth + 1000)).toEqual([]);
    expect(inside.neighbours()).toContainEqual(moved);
    inside.removeNeighbour(moved);
    inside.removeNeighbour(moved);
    expect(inside.neighbours(eth).filter((one) => one.address === address && one.mac !== undefined)).toEqual(
      [],
    );
  });

  test('one that is learnt is not permanent', () => {
    inside.addNeighbour({ index: eth, address: '10.1.2.9', mac: '02:00:5e:00:53:09', permanent: false });
    expect(inside.neighbours(eth)).toContainEqual(
      expect.objectContaining({ address: '10.1.2.9', permanent: false }),
    );
  });
});

describe('rules', () => {
  test.each([
    {
      family: 4,
      priority: 100,
      from: '10.1.2.3/32',
      to: undefined,
      table: 1000,
      iif: undefined,
      oif: undefined,
    },
    { family: 4, priority: 101, from: undefined, to: '10.9.0.0/16', table: 50, iif: 'eth0', oif: undefined },
    {
      family: 6,
      priority: 102,
      from: '2001:db8::3/128',
      to: '2001:db8:9::/48',
      table: 1000,
      iif: undefined,
      oif: 'eth0',
    },
  ] as const)('%o is added once, listed and removed', (rule) => {
    const before = inside.rules(rule.family);
    inside.addRule(rule);
    inside.addRule(rule);
    expect(inside.rules(rule.family).filter(({ priority }) => priority === rule.priority)).toEqual([rule]);
    inside.removeRule(rule);
    inside.removeRule(rule);
    expect(inside.rules(rule.family)).toEqual(before);
  });

  test("those of a fresh namespace are the kernel's", () => {
    expect(inside.rules(4).map(({ priority, table }) => [priority, table])).toEqual([
      [0, 255],
      [32_766, 254],
      [32_767, 253],
    ]);
  });

  test('from anywhere is no condition', () => {
    const rule = {
      family: 4,
      priority: 9,
      to: undefined,
      table: 1000,
      iif: undefined,
      oif: undefined,
    } as const;
    inside.addRule({ ...rule, from: '0.0.0.0/0' });
    expect(inside.rules(4)).toContainEqual({ ...rule, from: undefined });
  });

  test('that is refused says which', () => {
    const rule = {
      family: 4,
      priority: 9,
      from: undefined,
      to: undefined,
      table: 0,
      iif: undefined,
      oif: undefined,
    } as const;
    expect(() => inside.addRule({ ...rule, iif: 'a-name-that-is-too-long' })).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^Cannot add IPv4 rule 9: table 0 in .*: E/),
      }),
    );
  });
});
