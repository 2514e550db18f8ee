import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress, formatMac, networkOf, parseAddress, parseMac, parsePrefix } from './inet.ts';

describe('addresses', () => {
  test.each([
    ['10.1.2.3', '0a010203'],
    ['0.0.0.0', '00000000'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::1', '20010db8000000000000000000000001'],
    // RFC 5952 section 4.2: no "::" for a single group of zeros, the first of equal runs.
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'],
    ['2001:0:0:1::1', '20010000000000010000000000000001'],
    ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['::ffff:10.1.2.3', '00000000000000000000ffff0a010203'],
  ])('%s is %s', (text, bytes) => {
    expect(parseAddress(text).bytes.toString('hex')).toBe(bytes);
    expect(formatAddress(Buffer.from(bytes, 'hex'))).toBe(text);
  });

  test.each([
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::10.1.2.3', '::a01:203'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is written %s', (loose, canonical) => {
    expect(formatAddress(parseAddress(loose).bytes)).toBe(canonical);
  });

  test('any bytes come back from their text, which the URL parser writes alike', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.subarray([0, 2, 4, 6, 8, 10, 12, 14]),
        (raw, zeros) => {
          const bytes = Buffer.from(raw);
          for (const at of zeros) bytes.writeUInt16BE(0, at);
          fc.pre(!bytes.subarray(0, 10).every((byte) => byte === 0));
          const text = formatAddress(bytes);
          expect(parseAddress(text).bytes).toEqual(bytes);
          expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
        },
      ),
    );
  });

  test.each(['', '10.1.2', '10.1.2.256', '10.01.2.3', 'fe80::1%eth0', ':::', 'host', '10.1.2.3/24'])(
    '"%s" is no address',
    (text) => {
      expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'bad-config' }));
    },
  );
});

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/24', '10.1.2.0', 24],
    ['10.1.2.3/0', '0.0.0.0', 0],
    ['10.1.2.3/31', '10.1.2.2', 31],
    ['10.255.255.255/9', '10.128.0.0', 9],
    ['10.1.2.3', '10.1.2.3', 32],
    ['2001:db8::ffff/112', '2001:db8::', 112],
    ['2001:db8:1234::/33', '2001:db8::', 33],
    ['::1', '::1', 128],
  ])('%s is in network %s/%i', (cidr, network, length) => {
    const found = networkOf(parsePrefix(cidr));
    expect([formatAddress(found.bytes), found.length]).toEqual([network, length]);
  });

  test.each(['10.1.2.3/33', '10.1.2.3/', '10.1.2.3/-1', '10.1.2.3/1.5', '::/129', '/24'])(
    '"%s" is no prefix',
    (cidr) => {
      expect(() => parsePrefix(cidr)).toThrow(expect.objectContaining({ code: 'bad-config' }));
    },
  );
});

describe('MACs', () => {
  test('are written in lower case with colons', () => {
    expect(formatMac(parseMac('02:00:5E:00:53:0A'))).toBe('02:00:5e:00:53:0a');
  });

  test('of InfiniBand have twenty bytes', () => {
    expect(parseMac(Array(20).fill('ab').join(':'))).toHaveLength(20);
  });

  test.each(['', '02:00:5e:00:53', '02-00-5e-00-53-01', '02:00:5e:00:53:zz'])('"%s" is none', (mac) => {
    expect(() => parseMac(mac)).toThrow(expect.objectContaining({ code: 'bad-config' }));
  });
});
