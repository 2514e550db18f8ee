import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AddressRange,
  formatRange,
  mergeRanges,
  rangesOverlap,
  sizeOf,
  subtractRanges,
} from './range.ts';

/** Small enough that a Set of numbers is the model. */
const range = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 20 }))
  .map(([first, more]): AddressRange => ({ family: 4, first: BigInt(first), last: BigInt(first + more) }));

const members = (ranges: readonly AddressRange[]) => {
  const set = new Set<bigint>();
  for (const { first, last } of ranges) for (let value = first; value <= last; value++) set.add(value);
  return set;
};
const sorted = (set: ReadonlySet<bigint>) => [...set].sort((a, b) => Number(a - b));

test('merging keeps exactly the same addresses, in order, with gaps between', () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const merged = mergeRanges(ranges);
      expect(sorted(members(merged))).toEqual(sorted(members(ranges)));
      for (const [i, { first }] of merged.entries())
        if (i > 0) expect(first > (merged[i - 1]?.last ?? 0n) + 1n).toBe(true);
    }),
  );
});

test('subtracting takes away exactly the holes', () => {
  fc.assert(
    fc.property(range, fc.array(range), (whole, holes) => {
      const rest = subtractRanges(whole, holes);
      expect([...members(rest)]).toEqual(sorted(members([whole]).difference(members(holes))));
    }),
  );
});

test('ranges overlap when they share an address', () => {
  fc.assert(
    fc.property(range, range, (a, b) => {
      expect(rangesOverlap(a, b)).toBe(!members([a]).isDisjointFrom(members([b])));
    }),
  );
});

test('a hole of the other family takes nothing away', () => {
  const whole: AddressRange = { family: 6, first: 1n, last: 9n };
  expect(subtractRanges(whole, [{ family: 4, first: 1n, last: 9n }])).toEqual([whole]);
});

test('a /64 is as small a value as any other', () => {
  const whole: AddressRange = { family: 6, first: 0n, last: 2n ** 64n - 1n };
  expect(sizeOf(whole)).toBe(2n ** 64n);
  expect(subtractRanges(whole, [{ family: 6, first: 5n, last: 5n }]).map(formatRange)).toEqual([
    '::-::4',
    '::6-::ffff:ffff:ffff:ffff',
  ]);
});
