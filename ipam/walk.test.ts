import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AddressRange } from '../pkg/ip/range.ts';
import { pickFree, spreadWalk, upperHalf } from './walk.ts';

const ranges = fc
  .uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 2, maxLength: 12 })
  .map((ends) => ends.sort((a, b) => a - b))
  .map((ends) =>
    Array.from(
      { length: Math.floor(ends.length / 2) },
      (_, i): AddressRange => ({
        family: 4,
        first: BigInt(ends[2 * i] ?? 0),
        last: BigInt(ends[2 * i + 1] ?? 0),
      }),
    ),
  );
const allOf = (usable: readonly AddressRange[]) =>
  usable.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i)),
  );

test('a walk comes past each address once', () => {
  fc.assert(
    fc.property(ranges, fc.string(), (usable, seed) => {
      const all = allOf(usable);
      const at = spreadWalk(usable, seed);
      const seen = all.map((_, step) => at(BigInt(step)));
      expect(new Set(seen)).toEqual(new Set(all));
    }),
  );
});

test('walks of different owners begin in different places, and one owner’s always in the same', () => {
  const usable: AddressRange[] = [{ family: 6, first: 1n << 120n, last: (1n << 120n) + (1n << 64n) - 1n }];
  const starts = Array.from({ length: 200 }, (_, i) => spreadWalk(usable, `u${i}`)(0n));
  expect(new Set(starts).size).toBe(200);
  expect(spreadWalk(usable, 'u7')(0n)).toBe(starts[7]);
});

test('the free address of a number is the one that counting would find, and none is found when none is free', () => {
  fc.assert(
    fc.property(ranges, fc.uniqueArray(fc.bigInt(0n, 60n)), fc.nat(), (usable, some, number) => {
      const taken = some.sort((a, b) => (a < b ? -1 : 1));
      const free = allOf(usable).filter((value) => !taken.includes(value));
      const found = pickFree(usable, taken, (count) => {
        expect(count).toBe(BigInt(free.length));
        return BigInt(number) % count;
      });
      expect(found).toBe(free.length === 0 ? undefined : free[number % free.length]);
    }),
  );
});

test('the upper half has the higher of all addresses, and the middle one', () => {
  fc.assert(
    fc.property(ranges, (usable) => {
      const all = allOf(usable);
      expect(allOf(upperHalf(usable))).toEqual(all.slice(Math.floor(all.length / 2)));
    }),
  );
});
