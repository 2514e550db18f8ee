import fc from 'fast-check';
import { IPv6 } from 'ip-num';
import { expect, test } from 'vitest';
import {
  type Address,
  canonicalAddress,
  compareAddresses,
  formatAddress,
  highest,
  parseAddress,
  readAddress,
} from './address.ts';

const v4 = fc.bigInt(0n, highest(4)).map((value): Address => ({ family: 4, value }));
const v6 = fc
  .oneof(
    fc.bigInt(0n, highest(6)),
    // Many zero groups, where the canonical text is hard.
    fc
      .array(fc.constantFrom(0n, 0n, 1n, 0xffffn), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce<bigint>((value, group) => (value << 16n) | group, 0n)),
  )
  .map((value): Address => ({ family: 6, value }));
const address = fc.oneof(v4, v6);

test('what is formatted reads back as the same address', () => {
  fc.assert(fc.property(address, (a) => void expect(parseAddress(formatAddress(a))).toEqual(a)));
});

test('every spelling of an IPv6 address has one canonical text', () => {
  fc.assert(
    fc.property(v6, fc.boolean(), (a, upper) => {
      const hex = a.value.toString(16).padStart(32, '0');
      const full = (hex.match(/.{4}/g) ?? []).join(':');
      expect(canonicalAddress(upper ? full.toUpperCase() : full)).toBe(formatAddress(a));
    }),
  );
});

test('order of addresses is order of their numbers, IPv4 first', () => {
  fc.assert(
    fc.property(address, address, (a, b) => {
      const expected =
        a.family === b.family ? Number(a.value > b.value) - Number(a.value < b.value) : a.family - b.family;
      expect(Math.sign(compareAddresses(a, b))).toBe(Math.sign(expected));
    }),
  );
});

// RFC 5952, sections 4 and 5.
test.each([
  ['2001:0db8::0001', '2001:db8::1'],
  ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:DB8::A', '2001:db8::a'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['1:0:0:0:0:0:0:0', '1::'],
  ['0:0:0:0:0:ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['::ffff:c000:201', '::ffff:192.0.2.1'],
  ['::10.0.0.1', '::a00:1'],
  ['255.255.255.255', '255.255.255.255'],
])('%s is written %s', (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '010.0.0.1',
  ' 1.2.3.4',
  '1.2.3.4/24',
  '0x1.2.3.4',
  'fe80::1%eth0',
])('"%s" is no address', (text) => expect(readAddress(text)).toBeUndefined());

test.each([
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  '::1/64',
  '::g',
  '1:',
  '::01.2.3.4',
])('"%s" is no address', (text) => expect(readAddress(text)).toBeUndefined());

test('any text is an address or none, and never an exception', () => {
  const scrap = fc
    .array(fc.constantFrom(':', '.', '1', 'f', '0', '256', '::', ' ', '%', '/'))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.string(), scrap), (text) => {
      const found = readAddress(text);
      if (found !== undefined) expect(readAddress(formatAddress(found))).toEqual(found);
    }),
    { numRuns: 1000 },
  );
});

test('IPv6 text is read as ip-num reads it', () => {
  const byIpNum = (text: string) => {
    try {
      return IPv6.fromString(text).value;
    } catch {
      return undefined; // it throws strings and errors
    }
  };
  const group = fc.constantFrom('0', '1', 'ab', 'FFFF', '00a', '', '12345', 'g', '1.2.3.4', '01.2.3.4');
  const near = fc
    .tuple(fc.array(group, { maxLength: 9 }), fc.constantFrom(':', '::'), fc.array(group, { maxLength: 9 }))
    .map(([head, gap, rest]) => head.join(':') + gap + rest.join(':'))
    .filter((text) => text.length <= 45);
  const spelt = v6.map(({ value }) => (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':'));
  fc.assert(
    fc.property(fc.oneof(near, spelt), (text) => {
      expect(readAddress(text)?.value).toBe(byIpNum(text));
    }),
    { numRuns: 3000 },
  );
});

test('a bad address is named in the error', () => {
  expect(() => parseAddress('10.0.0.300')).toThrow(
    'Cannot read IP address: not an IPv4 or IPv6 address ("10.0.0.300")',
  );
});

test('an IPv4-mapped address stays IPv6', () => {
  expect(parseAddress('::ffff:10.0.0.1').family).toBe(6);
});
