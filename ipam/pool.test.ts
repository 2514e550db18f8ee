import { expect, test } from 'vitest';
import { parseAddress } from '../pkg/ip/address.ts';
import { formatRange } from '../pkg/ip/range.ts';
import { type Pool, type PoolContext, type PoolProblem, type PoolSpec, poolOf } from './pool.ts';

const keys = { range: 'range', start: 'range_start', end: 'range_end', exclude: 'exclude' };

function pool(spec: Omit<PoolSpec, 'keys'>, context: Partial<PoolContext> = {}): Pool | PoolProblem {
  return poolOf(
    { ...spec, keys },
    { domain: '', domainPerSubnet: false, gateways: [], firstIsGateway: false, terms: {}, ...context },
  );
}

const usable = (spec: Omit<PoolSpec, 'keys'>, context: Partial<PoolContext> = {}) => {
  const found = pool(spec, context);
  return 'usable' in found ? found.usable.map(formatRange).join(' ') : found;
};

test.each([
  ['10.0.0.0/24', '10.0.0.1-10.0.0.254'],
  ['10.0.0.77/24', '10.0.0.1-10.0.0.254'], // host bits
  ['10.0.0.0/30', '10.0.0.1-10.0.0.2'],
  ['10.0.0.0/31', '10.0.0.0-10.0.0.1'], // RFC 3021
  ['10.0.0.9/32', '10.0.0.9'],
  ['fd00::/64', 'fd00::1-fd00::ffff:ffff:ffff:ffff'], // no subnet-router anycast
  ['fd00::/126', 'fd00::1-fd00::3'],
  ['fd00::/127', 'fd00::-fd00::1'], // RFC 6164
  ['fd00::9/128', 'fd00::9'],
  ['10.0.0.0/8', '10.0.0.1-10.255.255.254'],
  ['10.0.0.10-10.0.0.20/24', '10.0.0.10-10.0.0.20'],
  ['10.0.0.10 - 10.0.0.20/24', '10.0.0.10-10.0.0.20'],
  ['10.0.0.0-10.0.0.255/24', '10.0.0.1-10.0.0.254'],
  ['fd00::10-fd00::1f/64', 'fd00::10-fd00::1f'],
])('%s may give %s', (range, expected) => {
  expect(usable({ range })).toBe(expected);
});

test('range_start and range_end narrow the range, and take the place of what it says itself', () => {
  expect(usable({ range: '10.0.0.0/24', start: '10.0.0.9' })).toBe('10.0.0.9-10.0.0.254');
  expect(usable({ range: '10.0.0.0/24', end: '10.0.0.9' })).toBe('10.0.0.1-10.0.0.9');
  expect(usable({ range: '10.0.0.5-10.0.0.9/24', start: '10.0.0.2', end: '10.0.0.3' })).toBe(
    '10.0.0.2-10.0.0.3',
  );
  expect(usable({ range: '10.0.0.0/24', start: '', end: '' })).toBe('10.0.0.1-10.0.0.254');
});

test('exclusions and gateways are cut out', () => {
  expect(
    usable(
      { range: '10.0.0.0/28', exclude: ['10.0.0.4/30', '10.0.0.9', '192.168.0.0/16'] },
      { gateways: [parseAddress('10.0.0.1'), parseAddress('fd00::1')] },
    ),
  ).toBe('10.0.0.2-10.0.0.3 10.0.0.8 10.0.0.10-10.0.0.14');
});

test('the gateway of the result is the one in the subnet, else one of the family, which may be link-local', () => {
  const gateways = ['fe80::1', '192.168.0.1', '10.0.0.1'].map(parseAddress);
  expect(pool({ range: '10.0.0.0/24' }, { gateways })).toMatchObject({ gateway: parseAddress('10.0.0.1') });
  expect(pool({ range: 'fd00::/64' }, { gateways })).toMatchObject({ gateway: parseAddress('fe80::1') });
  expect(pool({ range: '10.0.0.0/24' })).toMatchObject({ gateway: undefined });
});

test("host-local's rule makes the first address the gateway where none is given", () => {
  expect(usable({ range: '10.0.0.0/24' }, { firstIsGateway: true })).toBe('10.0.0.2-10.0.0.254');
  expect(pool({ range: '10.0.0.0/31' }, { firstIsGateway: true })).toMatchObject({ gateway: undefined });
});

test.each([
  ['no CIDR', { range: 'rail0' }, 'range', 'must be a CIDR'],
  ['a single address', { range: '10.0.0.1' }, 'range', 'must be a CIDR'],
  [
    'a range over two subnets',
    { range: '10.0.0.9-10.0.1.9/24' },
    'range',
    'must begin and end in one subnet, 10.0.1.0/24',
  ],
  ['a range that runs backwards', { range: '10.0.0.9-10.0.0.8/24' }, 'range', 'must not begin above its end'],
  ['a range of two families', { range: '10.0.0.9-fd00::1/64' }, 'range', 'must begin and end in one subnet'],
  [
    'a start outside',
    { range: '10.0.0.0/24', start: '10.0.1.1' },
    'range_start',
    'must be an IPv4 address within 10.0.0.0/24',
  ],
  [
    'an end of the other family',
    { range: '10.0.0.0/24', end: 'fd00::1' },
    'range_end',
    'must be an IPv4 address within',
  ],
  [
    'a start above the end',
    { range: '10.0.0.0/24', start: '10.0.0.9', end: '10.0.0.8' },
    'range_start',
    'must not be above the end',
  ],
  [
    'an exclusion that is no address',
    { range: '10.0.0.0/24', exclude: ['10.0.0.1', 'x'] },
    'exclude[1]',
    'must be an IPv4 address or CIDR',
  ],
  [
    'an exclusion of the other family',
    { range: '10.0.0.0/24', exclude: ['fd00::/64'] },
    'exclude[0]',
    'must be an IPv4 address or CIDR',
  ],
  [
    'nothing left to give',
    { range: '10.0.0.0/30', exclude: ['10.0.0.0/30'] },
    'range',
    'must leave an address to give',
  ],
])('%s is refused by the name of its key', (_, spec, key, rule) => {
  expect(pool(spec)).toMatchObject({ key, rule: expect.stringContaining(rule) });
});

test('where ranges may overlap freely, each subnet is a domain of its own', () => {
  expect(pool({ range: '10.0.0.9/24' }, { domain: 'blue' })).toMatchObject({ domain: 'blue' });
  expect(pool({ range: '10.0.0.9/24' }, { domain: 'blue', domainPerSubnet: true })).toMatchObject({
    domain: 'blue@10.0.0.0/24',
  });
});

test('5000 exclusions in a /12 and in a /64 are cut out in no time worth naming', () => {
  const exclude4 = Array.from({ length: 5000 }, (_, i) => `10.1.${i >> 7}.${(i & 127) * 2}`);
  const exclude6 = Array.from({ length: 5000 }, (_, i) => `fd00::${(i * 2 + 2).toString(16)}`);
  for (const [range, exclude] of [
    ['10.0.0.0/12', exclude4],
    ['fd00::/64', exclude6],
  ] as const) {
    const found = pool({ range, exclude });
    expect('usable' in found && found.usable.length).toBeGreaterThan(4990);
  }
});
