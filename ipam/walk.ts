// Which free address comes next: by a walk through all that may be given, or by number among those that are free.
// Nothing here counts through a range.
import { hashOf } from '../pkg/ip/hash.ts';
import type { AddressRange } from '../pkg/ip/range.ts';
import { sizeOf } from '../pkg/ip/range.ts';

/**
 * A way through all addresses of the ranges that seems without order and comes past each once.
 * @param usable sorted, without overlap
 * @returns the address at each step, from 0 on; the same for the same seed
 */
export function spreadWalk(usable: readonly AddressRange[], seed: string): (step: bigint) => bigint {
  const total = usable.reduce((sum, range) => sum + sizeOf(range), 0n);
  const start = wide(seed) % total;
  // Steps of a length that has no factor in common with the whole lead to every place.
  let stride = (wide(`${seed} stride`) % total) | 1n;
  while (commonFactor(stride, total) !== 1n) stride += 2n;
  return (step) => nth(usable, (start + step * stride) % total);
}

/** 128 bits: an IPv6 range is wider than one hash. */
const wide = (seed: string): bigint => (hashOf(seed) << 64n) | hashOf(`${seed} low`);

function commonFactor(a: bigint, b: bigint): bigint {
  let [big, small] = [a, b];
  while (small > 0n) [big, small] = [small, big % small];
  return big;
}

/** The ranges without the lower half of their addresses. */
export function upperHalf(usable: readonly AddressRange[]): AddressRange[] {
  let left = usable.reduce((sum, range) => sum + sizeOf(range), 0n) / 2n;
  return usable.flatMap((range) => {
    const skipped = left < sizeOf(range) ? left : sizeOf(range);
    left -= skipped;
    return skipped === sizeOf(range) ? [] : [{ ...range, first: range.first + skipped }];
  });
}

/** The nth address of the ranges, from 0; `n` below their number. */
function nth(usable: readonly AddressRange[], n: bigint): bigint {
  let left = n;
  for (const range of usable) {
    if (left < sizeOf(range)) return range.first + left;
    left -= sizeOf(range);
  }
  throw new RangeError(`no address ${n} in the ranges`);
}

/**
 * The free addresses of the ranges by number: `pick` is told how many there are, and says which.
 * @param taken sorted, each once; those outside the ranges are passed over
 */
export function pickFree(
  usable: readonly AddressRange[],
  taken: readonly bigint[],
  pick: (free: bigint) => bigint,
): bigint | undefined {
  const within = usable.map((range) => ({ range, holes: between(taken, range) }));
  const count = within.reduce((sum, { range, holes }) => sum + sizeOf(range) - BigInt(holes.length), 0n);
  if (count <= 0n) return undefined;
  let left = pick(count);
  for (const { range, holes } of within) {
    const free = sizeOf(range) - BigInt(holes.length);
    if (left >= free) {
      left -= free;
      continue;
    }
    let value = range.first + left;
    for (const hole of holes) {
      if (hole > value) break;
      value++;
    }
    return value;
  }
  return undefined;
}

function between(sorted: readonly bigint[], { first, last }: AddressRange): readonly bigint[] {
  return sorted.slice(firstAtLeast(sorted, first), firstAtLeast(sorted, last + 1n));
}

function firstAtLeast(sorted: readonly bigint[], value: bigint): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0n) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
