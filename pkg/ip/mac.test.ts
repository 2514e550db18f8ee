import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { derivedMac, formatMac, isMulticast, parseMac, readMac } from './mac.ts';
import { sha256 } from './sha256.ts';

const bytes = fc.uint8Array({ minLength: 6, maxLength: 6 });

test('every spelling reads as the one canonical text', () => {
  fc.assert(
    fc.property(bytes, (six) => {
      const mac = formatMac(six);
      const hex = mac.replaceAll(':', '');
      for (const text of [
        mac,
        mac.toUpperCase(),
        mac.replaceAll(':', '-'),
        (hex.match(/.{4}/g) ?? []).join('.'),
      ])
        expect(parseMac(text)).toBe(mac);
    }),
  );
});

test.each([
  '',
  '02:00:5e:00:53',
  '02:00:5e:00:53:01:02',
  '02:00:5e:00:53:0g',
  '02:00-5e:00:53:01',
  '02005e005301',
  '2:0:5e:0:53:1',
  '02:00:5e:00:53:01:02:03',
])('"%s" is no MAC', (text) => expect(readMac(text)).toBeUndefined());

test('a derived MAC is stable, locally administered and unicast', () => {
  fc.assert(
    fc.property(fc.string(), (seed) => {
      const mac = derivedMac(seed);
      expect(derivedMac(seed)).toBe(mac);
      expect(readMac(mac)).toBe(mac);
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
      expect(isMulticast(mac)).toBe(false);
    }),
  );
  // Pods keep their MAC over an upgrade: this value may never change.
  expect(derivedMac('0f2c/net1')).toBe('62:a7:6b:ce:ff:9d');
});

test('sha256 agrees with the one of Node on texts of every length around the block size', () => {
  const texts = Array.from({ length: 200 }, (_, length) => 'é'.repeat(length % 7) + 'x'.repeat(length));
  for (const text of texts)
    expect(Buffer.from(sha256(text)).toString('hex')).toBe(createHash('sha256').update(text).digest('hex'));
});
