// IPv4 and IPv6 addresses as values: a family and a number. Canonical text is RFC 5952's; any spelling is read.
import { IPv4 } from 'ip-num';
import { ManifoldError } from '../errors/manifold-error.ts';

export type Family = 4 | 6;

/** `value` is the address as an unsigned number, below 2^32 or 2^128. An IPv4-mapped address is family 6. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);

/** The highest address of the family. */
export const highest = (family: Family): bigint => (1n << BigInt(bitsOf(family))) - 1n;

/** Reads an address in any spelling of RFC 4291 or dotted decimal; undefined when it is none. Zones are none. */
export function readAddress(text: string): Address | undefined {
  if (text.length > 45) return undefined;
  const family = text.includes(':') ? 6 : 4;
  const value = family === 6 ? readColons(text) : readDotted(text);
  return value === undefined ? undefined : { family, value };
}

function readDotted(text: string): bigint | undefined {
  try {
    return IPv4.fromString(text).value;
  } catch {
    // ip-num throws strings and errors of several classes for bad text; text is all that it was given.
    return undefined;
  }
}

/** Not ip-num's IPv6.fromString: compiling the pattern that it checks with costs 5 ms of CPU in every process. */
function readColons(text: string): bigint | undefined {
  const lastGroup = text.lastIndexOf(':') + 1;
  if (text.includes('.', lastGroup)) {
    const tail = readDotted(text.slice(lastGroup));
    if (tail === undefined) return undefined;
    return readColons(
      `${text.slice(0, lastGroup)}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`,
    );
  }
  const [before = '', after, ...more] = text.split('::');
  const head = before === '' ? [] : before.split(':');
  const rest = after === undefined || after === '' ? [] : after.split(':');
  const left = 8 - head.length - rest.length;
  if (more.length > 0 || (after === undefined ? left !== 0 : left < 1)) return undefined;
  const groups = [...head, ...Array<string>(left).fill('0'), ...rest];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`);
}

/** @throws ManifoldError 'bad-config' */
export function parseAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined)
    throw new ManifoldError('bad-config', `Cannot read IP address: not an IPv4 or IPv6 address ("${text}")`, {
      hint: 'Write it as 10.1.2.3 (no leading zeros) or 2001:db8::1 (no zone).',
    });
  return address;
}

/** Canonical text: "10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3" (RFC 5952). */
export function formatAddress(address: Address): string {
  return address.family === 4 ? dotted(address.value) : colons(address.value);
}

/** The canonical text of any spelling. @throws ManifoldError 'bad-config' */
export const canonicalAddress = (text: string): string => formatAddress(parseAddress(text));

/** IPv4 before IPv6, then by number. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

export const sameAddress = (a: Address, b: Address): boolean => compareAddresses(a, b) === 0;

function dotted(value: bigint): string {
  const n = Number(value);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

function colons(value: bigint): string {
  // RFC 5952 section 5: mixed notation where a well-known prefix says that the rest is an IPv4 address.
  if (value >> 32n === 0xffffn) return `::ffff:${dotted(value & 0xffffffffn)}`;
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  const gap = longestZeros(groups);
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (gap === undefined) return text(groups);
  return `${text(groups.slice(0, gap.start))}::${text(groups.slice(gap.start + gap.length))}`;
}

/** RFC 5952 section 4.2: the longest run of at least two zero groups, the first of equals. */
function longestZeros(groups: readonly number[]): { start: number; length: number } | undefined {
  let best: { start: number; length: number } | undefined;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > 1 && length > (best?.length ?? 0)) best = { start, length };
    start += length;
  }
  return best;
}
