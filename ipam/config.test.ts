import { expect, test } from 'vitest';
import { findMisspelt } from '../pkg/cni/misspelt.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { formatRange } from '../pkg/ip/range.ts';
import { ipamConfig, leasePlaceOf, parseIpamConfig } from './config.ts';

const network = (ipam: JsonObject, more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'rail0',
  type: 'macvlan',
  ipam: { type: 'manifold-ipam', ...ipam },
  ...more,
});
/** One line for each set: its pools with their gateways. */
const sets = (raw: JsonObject) =>
  parseIpamConfig(raw).sets.map((pools) =>
    pools
      .map(
        ({ usable, gateway }) =>
          usable.map(formatRange).join(' ') + (gateway ? ` via ${formatAddress(gateway)}` : ''),
      )
      .join(' or '),
  );

test("Whereabouts' keys: range first, then ipRanges, one address each", () => {
  expect(
    sets(
      network({
        range: '10.0.0.0/24',
        range_start: '10.0.0.10',
        range_end: '10.0.0.20',
        exclude: ['10.0.0.12'],
        gateway: '10.0.0.1',
        ipRanges: [{ range: 'fd00::/64' }, { range: '10.1.0.5-10.1.0.6/24' }],
      }),
    ),
  ).toEqual([
    '10.0.0.10-10.0.0.11 10.0.0.13-10.0.0.20 via 10.0.0.1',
    'fd00::1-fd00::ffff:ffff:ffff:ffff',
    '10.1.0.5-10.1.0.6 via 10.0.0.1',
  ]);
});

test('a list of gateways serves dual stack', () => {
  expect(
    sets(
      network({
        ipRanges: [{ range: '10.0.0.0/30' }, { range: 'fd00::/126' }],
        gateway: ['10.0.0.1', 'fd00::1'],
      }),
    ),
  ).toEqual(['10.0.0.2 via 10.0.0.1', 'fd00::2-fd00::3 via fd00::1']);
});

test("host-local's legacy keys, with its rule for the gateway", () => {
  expect(sets(network({ subnet: '10.0.0.0/24', rangeStart: '10.0.0.10', rangeEnd: '10.0.0.20' }))).toEqual([
    '10.0.0.10-10.0.0.20 via 10.0.0.1',
  ]);
  expect(sets(network({ subnet: '10.0.0.0/24', gateway: '10.0.0.254' }))).toEqual([
    '10.0.0.1-10.0.0.253 via 10.0.0.254',
  ]);
});

test("host-local's ranges: sets of alternatives, each with its own gateway", () => {
  const ranges = [
    [{ subnet: '10.0.0.0/30' }, { subnet: '10.0.1.0/30', gateway: '10.0.1.2' }],
    [{ subnet: 'fd00::/126', rangeStart: 'fd00::2' }],
  ];
  expect(sets(network({ ranges }))).toEqual([
    '10.0.0.2 via 10.0.0.1 or 10.0.1.1 via 10.0.1.2',
    'fd00::2-fd00::3 via fd00::1',
  ]);
});

test('runtimeConfig.ipRanges come first', () => {
  const runtimeConfig = { ipRanges: [[{ subnet: '10.9.0.0/24' }]] };
  expect(sets(network({ range: '10.0.0.0/31' }, { runtimeConfig }))).toEqual([
    '10.9.0.2-10.9.0.254 via 10.9.0.1',
    '10.0.0.0-10.0.0.1',
  ]);
});

test('addresses asked for by runtimeConfig and args, with or without prefix length, each once', () => {
  const config = parseIpamConfig(
    network(
      { range: '10.0.0.0/24' },
      {
        runtimeConfig: { ips: ['10.0.0.5/24', 'fd00::0:5'] },
        args: { cni: { ips: ['10.0.0.5', '10.0.0.6'] } },
      },
    ),
  );
  expect(config.requested.map(formatAddress)).toEqual(['10.0.0.5', 'fd00::5', '10.0.0.6']);
});

test('routes and dns are passed on in canonical form', () => {
  const { routes, dns } = parseIpamConfig(
    network({
      range: '10.0.0.0/24',
      routes: [{ dst: '10.9.1.2/16', gw: '10.0.0.1', mtu: 1400, priority: 50 }, { dst: '0:0::/0' }],
      dns: { nameservers: ['10.0.0.53'], search: ['example.org'] },
    }),
  );
  expect(routes).toEqual([{ dst: '10.9.0.0/16', gw: '10.0.0.1', mtu: 1400, priority: 50 }, { dst: '::/0' }]);
  expect(dns).toEqual({ nameservers: ['10.0.0.53'], search: ['example.org'] });
});

test('addresses that stand in the configuration are in the domain of the range that they lie in', () => {
  const { fixed } = parseIpamConfig(
    network({
      range: '10.0.0.0/24',
      enable_overlapping_ranges: false,
      addresses: [
        { address: '10.0.0.9/24', gateway: '10.0.0.1' },
        { address: '192.168.0.9/24' },
        { address: '10.0.0.10/16' },
      ],
    }),
  );
  expect(fixed.map(({ cidr, domain }) => `${formatCidr(cidr)} ${domain}`)).toEqual([
    '10.0.0.9/24 @10.0.0.0/24',
    '192.168.0.9/24 ',
    // Whatever its own prefix length: the range must not give it to another.
    '10.0.0.10/16 @10.0.0.0/24',
  ]);
});

test('keys of Whereabouts without a meaning here are accepted, and named', () => {
  const { withoutMeaning } = parseIpamConfig(
    network({
      range: '10.0.0.0/24',
      datastore: 'kubernetes',
      log_level: 'debug',
      etcd_host: 7,
      node_slice_size: '/26',
    }),
  );
  expect(withoutMeaning.toSorted()).toEqual(['datastore', 'etcd_host', 'log_level', 'node_slice_size']);
});

test('keys that narrow a range which is not there are named too', () => {
  const ipRanges = [{ range: '10.0.0.0/24' }];
  expect(parseIpamConfig(network({ ipRanges, exclude: ['10.0.0.9'], range_end: '' })).withoutMeaning).toEqual(
    ['exclude'],
  );
  expect(parseIpamConfig(network({ ipRanges, rangeStart: '10.0.0.9' })).withoutMeaning).toEqual([
    'rangeStart',
  ]);
});

test('a misspelt key can be found through the schema', () => {
  expect(
    findMisspelt(ipamConfig, network({ range: '10.0.0.0/24', rangeStrat: '10.0.0.1', excludes: [] })),
  ).toEqual([
    { key: 'ipam.rangeStrat', meant: 'range_start' },
    { key: 'ipam.excludes', meant: 'exclude' },
  ]);
});

test.each([
  [
    {},
    `Cannot use 'ipam' as it must have a "range", "ipRanges", "ranges", "pool" or "addresses": it is missing`,
  ],
  [{ range: '10.0.0.0/33' }, `Cannot use 'ipam.range' as it must be a CIDR`],
  [{ range: 7 }, `Cannot use 'ipam.range' as it must be a string: current value is 7`],
  [
    { range: '10.0.0.0/24', range_start: '10.0.1.0' },
    `Cannot use 'ipam.range_start' as it must be an IPv4 address within 10.0.0.0/24: current value is "10.0.1.0"`,
  ],
  [
    { ipRanges: [{ range: 'fd00::/64' }, { range: '10.0.0.0/24', exclude: ['x'] }] },
    `Cannot use 'ipam.ipRanges[1].exclude[0]' as it must be an IPv4 address or CIDR: current value is "x"`,
  ],
  [
    { ranges: [[{ subnet: '10.0.0.0/24', rangeEnd: '10.0.0.300' }]] },
    `Cannot use 'ipam.ranges[0][0].rangeEnd' as it must be an IPv4 address within`,
  ],
  [
    { range: '224.0.0.0/24' },
    `Cannot use 'ipam.range' as it must hold only addresses that an interface can have, and none of 224.0.0.0`,
  ],
  [{ range: '127.0.0.0/24' }, 'none of 127.0.0.0-127.255.255.255'],
  [{ range: '0.0.0.0/0' }, 'none of 0.0.0.0-0.255.255.255'],
  [{ range: 'ff02::/16' }, 'none of ff00::'],
  [
    { range: '10.0.0.0/24', gateway: '0.0.0.0' },
    `Cannot use 'ipam.gateway' as it must be an address of a machine`,
  ],
  [
    { range: '10.0.0.0/24', routes: [{ dst: '::/0', gw: '10.0.0.1' }] },
    `Cannot use 'ipam.routes[0]' as it must have "dst" and "gw" of one family`,
  ],
  [
    { addresses: [{ address: 'fd00::9/64' }, { address: 'fd00:0::9/64' }] },
    `Cannot use 'ipam.addresses' as it must not have an address twice`,
  ],
  [{ ranges: [[]] }, `Cannot use 'ipam.ranges[0]' as it must not be empty`],
  [
    { range: '10.0.0.0/24', gateway: 'me' },
    `Cannot use 'ipam.gateway' as it must be an IP address: current value is "me"`,
  ],
  [
    { range: '10.0.0.0/24', gateway: ['10.0.0.1', '10.0.0.2'] },
    `Cannot use 'ipam.gateway' as it must have one IPv4 address at most`,
  ],
  [
    { range: '10.0.0.0/24', routes: [{ dst: 'default' }] },
    `Cannot use 'ipam.routes[0].dst' as it must be an address with prefix length`,
  ],
  [
    { addresses: [{ address: '10.0.0.9' }] },
    `Cannot use 'ipam.addresses[0].address' as it must be an address with prefix length`,
  ],
  [
    { ipRanges: Array.from({ length: 17 }, (_, i) => ({ range: `10.0.${i}.0/24` })) },
    `Cannot use 'ipam' as it must not have more than 16 ranges: current value is 17`,
  ],
])('ipam of %j is refused by name', (ipam, message) => {
  expect(() => parseIpamConfig(network(ipam))).toThrow(message);
});

test.each([
  [{ runtimeConfig: { ips: ['10.0.0.x'] } }, `Cannot use 'runtimeConfig.ips[0]' as it must be an IP address`],
  [{ args: { cni: { ips: [5] } } }, `Cannot use 'args.cni.ips[0]' as it must be a string`],
])('%j is refused by name', (more, message) => {
  expect(() => parseIpamConfig(network({ range: '10.0.0.0/24' }, more))).toThrow(message);
});

test('several mistakes are all named in one error', () => {
  try {
    parseIpamConfig(network({ range: '10.0.0.0/40', ipRanges: [{ range: 'x' }] }));
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({
      message: expect.stringContaining("'ipam.range'"),
      hint: expect.stringContaining("'ipam.ipRanges[0].range'"),
    });
  }
});

const cluster = { manifold: { kubeconfig: '/etc/kube' } };

test('where the cluster is: manifold.kubeconfig, else the key of Whereabouts, else nowhere', () => {
  const range = { range: '10.0.0.0/24' };
  const theirs = { kubernetes: { kubeconfig: '/etc/theirs' } };
  expect(parseIpamConfig(network({ ...range, ...theirs }, cluster)).kubeconfig).toBe('/etc/kube');
  expect(parseIpamConfig(network({ ...range, ...theirs })).kubeconfig).toBe('/etc/theirs');
  expect(parseIpamConfig(network({ ...range, kubernetes: { kubeconfig: '' } })).kubeconfig).toBeUndefined();
  expect(leasePlaceOf(network({ ...range, ...theirs })).kubeconfig).toBe('/etc/theirs');
  expect(leasePlaceOf(network({ range: 'broken' }, cluster)).kubeconfig).toBe('/etc/kube');
  const wrong = { manifold: { stateDir: '/s', whereabouts: 'x', kubeconfig: '/etc/kube' } };
  expect(leasePlaceOf(network(range, wrong))).toMatchObject({ stateDir: '/s', kubeconfig: '/etc/kube' });
});

test('order, reuseDelay and sticky hold for each range, and for what stands in the configuration', () => {
  const terms = { order: 'spread', reuseDelaySeconds: 0, stickySeconds: 600 };
  const { sets, fixed } = parseIpamConfig(
    network({
      ...{
        range: '10.0.0.0/24',
        ipRanges: [{ range: 'fd00::/64' }],
        addresses: [{ address: '10.9.0.1/24' }],
      },
      ...{ order: 'spread', reuseDelay: '0s', sticky: '10m' },
    }),
  );
  expect([...sets.flat(), ...fixed].map((one) => one.terms)).toEqual([terms, terms, terms]);
});

test('pools are named one or several', () => {
  expect(parseIpamConfig(network({ pool: 'a' }, cluster)).pools).toEqual(['a']);
  expect(parseIpamConfig(network({ pool: ['a', 'b'] }, cluster)).pools).toEqual(['a', 'b']);
});

test.each([
  [{ pool: 'a', range: '10.0.0.0/24' }, `Cannot use 'ipam.range' as it must not stand beside "pool"`],
  [
    { pool: 'a', ipRanges: [{ range: '10.0.0.0/24' }] },
    `Cannot use 'ipam.ipRanges' as it must not stand beside`,
  ],
  [{ pool: 'A b' }, `Cannot use 'ipam.pool' as it must be the name of an IPPool`],
  [{ pool: [] }, `Cannot use 'ipam.pool' as it must not be empty`],
  [{ range: '10.0.0.0/24', reuseDelay: '5' }, `Cannot use 'ipam.reuseDelay' as it must be a length of time`],
  [{ range: '10.0.0.0/24', sticky: 600 }, `Cannot use 'ipam.sticky' as it must be a length of time`],
  [
    { range: '10.0.0.0/24', order: 'random' },
    `Cannot use 'ipam.order' as it must be one of "lowest", "spread"`,
  ],
  [
    { range: '10.0.0.0/24', kubernetes: { kubeconfig: 'k' } },
    `Cannot use 'ipam.kubernetes.kubeconfig' as it must be an absolute path`,
  ],
  [{ range: '::ffff:10.0.0.0/120' }, `none of ::ffff:0.0.0.0-::ffff:255.255.255.255`],
])('in a cluster ipam of %j is refused by name', (ipam, message) => {
  expect(() => parseIpamConfig(network(ipam, cluster))).toThrow(message);
});

test('a pool without a cluster is refused', () => {
  expect(() => parseIpamConfig(network({ pool: 'a' }))).toThrow(
    `Cannot use 'ipam.pool' as it must stand beside "manifold.kubeconfig"`,
  );
});
