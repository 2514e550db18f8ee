import fc from 'fast-check';
import { expect, test } from 'vitest';
import { derivedMac, formatMac, isMulticast, parseMac, readMac } from './mac.ts';

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
  expect(derivedMac('0f2c/net1')).toBe('02:de:d8:5f:18:b9');
});

test('seeds that differ little have MACs that differ much, and no two the same', () => {
  const macs = Array.from({ length: 20_000 }, (_, n) => derivedMac(`0f2c4f9e-8c1d/rail/net${n}`));
  expect(new Set(macs).size).toBe(macs.length);
  // Each of the 46 free bits is set about half of the time.
  for (let bit = 0; bit < 48; bit++) {
    const set = macs.filter((mac) => (BigInt(`0x${mac.replaceAll(':', '')}`) >> BigInt(bit)) & 1n).length;
    if (bit !== 40 && bit !== 41) expect(Math.abs(set / macs.length - 0.5)).toBeLessThan(0.02);
  }
});
