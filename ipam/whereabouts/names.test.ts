import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress, highest, parseAddress } from '../../pkg/ip/address.ts';
import { parseCidr } from '../../pkg/ip/cidr.ts';
import { addressAt, meaningsOf, offsetOf, poolName, poolPrefix, reservationName } from './names.ts';

test.each([
  ['', '10.1.2.3', '10.1.2.3'],
  ['blue', '10.1.2.3', 'blue-10.1.2.3'],
  ['', 'fd00::1:0:5', 'fd00--1-0-5'],
  ['', 'fd00::', 'fd00--0'],
  ['blue-net', 'fd00::5', 'blue-net-fd00--5'],
])('the reservation of network %j and %s is named %s', (network, address, name) => {
  expect(reservationName(network, parseAddress(address))).toBe(name);
});

test.each([
  ['10.1.2.3', [['', '10.1.2.3']]],
  ['my-net-10.1.2.3', [['my-net', '10.1.2.3']]],
  ['fd00--5', [['', 'fd00::5']]],
  ['fd00--0', [['', 'fd00::']]],
  [
    'beef-fd00--5',
    [
      ['', 'beef:fd00::5'],
      ['beef', 'fd00::5'],
    ],
  ],
  ['no-address', []],
  ['10.1.2', []],
])('the name %s may mean %j', (name, meanings) => {
  expect(meaningsOf(name).map(({ network, address }) => [network, formatAddress(address)])).toEqual(meanings);
});

test('what a name was made of is always among its meanings', () => {
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: highest(4) }).map((value) => ({ family: 4 as const, value })),
    fc.bigInt({ min: 1n << 100n, max: highest(6) }).map((value) => ({ family: 6 as const, value })),
  );
  const network = fc.oneof(fc.constant(''), fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?$/));
  fc.assert(
    fc.property(network, address, (name, one) => {
      expect(meaningsOf(reservationName(name, one))).toContainEqual({ network: name, address: one });
    }),
  );
});

test.each([
  ['10.1.0.0-16', '10.1.0.0/16', ''],
  ['blue-10.1.0.0-16', '10.1.0.0/16', 'blue'],
  ['10.1.0.7-16', '10.1.0.7/16', ''],
  ['10.1.0.0-16', '10.1.0.7/16', ''],
  ['blue-worker-1-10.1.0.0-26', '10.1.0.0/26', 'blue-worker-1'],
  ['caa5---64', 'caa5::/64', ''],
  ['fd00-1----64', 'fd00:1::/64', undefined],
  ['10.2.0.0-16', '10.1.0.0/16', undefined],
])('before the range in the pool name %s (%s) stands %j', (name, range, prefix) => {
  expect(poolPrefix(name, range)).toBe(prefix);
});

test('a pool is named as Whereabouts names it', () => {
  expect(poolName('', 'fd00::/64')).toBe('fd00---64');
  expect(poolName('blue', '10.1.0.0/26', 'worker-1')).toBe('blue-worker-1-10.1.0.0-26');
});

test.each([
  ['10.1.0.0/16', '5', '10.1.0.5'],
  ['10.1.0.10/24', '-5', '10.1.0.5'],
  ['10.1.0.10/24', '5', '10.1.0.15'],
  ['10.1.0.0/24', '256', undefined],
  ['10.1.0.0/24', '-1', undefined],
  ['fd00::/64', '-9223372036854775808', 'fd00::8000:0:0:0'],
  ['fd00::/64', '9223372036854775808', 'fd00::8000:0:0:0'],
  ['10.1.0.0/24', '1e3', undefined],
  ['10.1.0.0/24', '', undefined],
])('in %s the offset %s is %s', (range, offset, address) => {
  const found = addressAt(parseCidr(range), offset);
  expect(found && formatAddress(found)).toBe(address);
  if (found !== undefined && !offset.startsWith('-')) expect(offsetOf(range, found)).toBe(offset);
});
