import fc from 'fast-check';
import { expect, test } from 'vitest';
import { highest } from './address.ts';
import {
  type Cidr,
  canonicalCidr,
  cidrContains,
  firstOf,
  formatCidr,
  lastOf,
  parseCidr,
  readCidr,
  subnetOf,
} from './cidr.ts';

const cidr = fc.constantFrom<4 | 6>(4, 6).chain((family) =>
  fc.record({
    address: fc.record({ family: fc.constant(family), value: fc.bigInt(0n, highest(family)) }),
    prefix: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
  }),
);

test('what is formatted reads back as the same', () => {
  fc.assert(fc.property(cidr, (c: Cidr) => void expect(parseCidr(formatCidr(c))).toEqual(c)));
});

test('the subnet holds its own address, its ends, and 2^host-bits addresses', () => {
  fc.assert(
    fc.property(cidr, (c: Cidr) => {
      const { family, value } = c.address;
      expect(cidrContains(c, c.address)).toBe(true);
      expect(firstOf(c) <= value && value <= lastOf(c)).toBe(true);
      expect(lastOf(c) - firstOf(c) + 1n).toBe(2n ** BigInt((family === 4 ? 32 : 128) - c.prefix));
      expect(firstOf(c) % 2n ** BigInt((family === 4 ? 32 : 128) - c.prefix)).toBe(0n);
      expect(subnetOf(subnetOf(c))).toEqual(subnetOf(c));
    }),
  );
});

test('the neighbours of a subnet are not in it', () => {
  fc.assert(
    fc.property(cidr, (c: Cidr) => {
      const { family } = c.address;
      if (firstOf(c) > 0n) expect(cidrContains(c, { family, value: firstOf(c) - 1n })).toBe(false);
      if (lastOf(c) < highest(family)) expect(cidrContains(c, { family, value: lastOf(c) + 1n })).toBe(false);
      expect(cidrContains(c, { family: family === 4 ? 6 : 4, value: 0n })).toBe(false);
    }),
  );
});

test.each([
  '10.0.0.0',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/024',
  '10.0.0.0/255.255.255.0',
  '::/129',
  '::/-1',
  '/24',
  '10.0.0.0/24/24',
])('"%s" is no CIDR', (text) => expect(readCidr(text)).toBeUndefined());

test('canonical text keeps host bits', () => {
  expect(canonicalCidr('2001:DB8:0::5/64')).toBe('2001:db8::5/64');
});
