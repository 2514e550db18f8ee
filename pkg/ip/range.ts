// Ranges of addresses of one family as pairs of numbers, both ends included. Nothing here counts through a range.
import { type Address, type Family, formatAddress } from './address.ts';
import { type Cidr, firstOf, lastOf } from './cidr.ts';

/** first <= last. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

export const rangeOfCidr = (cidr: Cidr): AddressRange => ({
  family: cidr.address.family,
  first: firstOf(cidr),
  last: lastOf(cidr),
});

export const rangeOfAddress = ({ family, value }: Address): AddressRange => ({
  family,
  first: value,
  last: value,
});

export const sizeOf = (range: AddressRange): bigint => range.last - range.first + 1n;

export const rangeContains = (range: AddressRange, address: Address): boolean =>
  range.family === address.family && range.first <= address.value && address.value <= range.last;

export const rangesOverlap = (a: AddressRange, b: AddressRange): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last;

/** "10.0.0.1-10.0.0.9", or the one address. */
export function formatRange({ family, first, last }: AddressRange): string {
  const start = formatAddress({ family, value: first });
  return first === last ? start : `${start}-${formatAddress({ family, value: last })}`;
}

/** The same addresses as sorted ranges with a gap between each two. All of one family. */
export function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) merged[merged.length - 1] = { ...before, last: range.last };
  }
  return merged;
}

/** What is left of a range without the holes, sorted. Holes of another family are passed over. */
export function subtractRanges(range: AddressRange, holes: readonly AddressRange[]): AddressRange[] {
  const { family } = range;
  const rest: AddressRange[] = [];
  let first = range.first;
  for (const hole of mergeRanges(holes.filter((hole) => rangesOverlap(range, hole)))) {
    if (hole.first > first) rest.push({ family, first, last: hole.first - 1n });
    first = hole.last + 1n;
  }
  if (first <= range.last) rest.push({ family, first, last: range.last });
  return rest;
}
