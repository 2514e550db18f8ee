// The lowest free address of a range, found by counting leases and reading none.
import { type AddressRange, sizeOf } from '../pkg/ip/range.ts';

/**
 * The lowest address of a range without a lease, by halving: among n + 1 addresses one at least is free when n are
 * taken, and a part that holds as many leases as addresses has none free. Counts each lease about twice.
 */
export function lowestFree(range: AddressRange, count: (part: AddressRange) => bigint): bigint | undefined {
  const taken = count(range);
  if (taken >= sizeOf(range)) return undefined;
  let low = range.first;
  let high = range.first + taken;
  while (low < high) {
    const part: AddressRange = { ...range, first: low, last: (low + high) >> 1n };
    if (count(part) < sizeOf(part)) high = part.last;
    else low = part.last + 1n;
  }
  return low;
}
