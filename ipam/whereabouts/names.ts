// How Whereabouts names its objects, and what a name says: network_name, then a range or an address with "-" for ":".
import { type Address, formatAddress, readAddress } from '../../pkg/ip/address.ts';
import { type Cidr, firstOf, formatCidr, parseCidr, readCidr, subnetOf } from '../../pkg/ip/cidr.ts';

/** A name must not end with "-": "fd00::" becomes "fd00--0". */
const normal = (text: string): string => (text.endsWith(':') ? `${text}0` : text).replaceAll(/[:/]/g, '-');

const prefixed = (network: string, text: string): string => (network === '' ? text : `${network}-${text}`);

/** Of an OverlappingRangeIPReservation. @param network network_name, "" for none */
export const reservationName = (network: string, address: Address): string =>
  prefixed(network, normal(formatAddress(address)));

/** Of an IPPool. @param range canonical CIDR without host bits @param node of a node slice */
export const poolName = (network: string, range: string, node = ''): string =>
  prefixed(network, prefixed(node, normal(range)));

export interface NamedAddress {
  /** network_name, "" for none. */
  readonly network: string;
  readonly address: Address;
}

/** All that a reservation's name may mean: "beef-fd00--1" is one address, or one of network "beef". */
export function meaningsOf(name: string): NamedAddress[] {
  const cuts = [0, ...[...name].flatMap((character, i) => (character === '-' ? [i + 1] : []))];
  return cuts.flatMap((cut) => {
    const text = name.slice(cut);
    const address = readAddress(text.includes('.') ? text : text.replaceAll('-', ':'));
    const network = name.slice(0, Math.max(0, cut - 1));
    // Spelled as another address would be: it is none of theirs.
    return address !== undefined && reservationName(network, address) === name ? [{ network, address }] : [];
  });
}

/**
 * What stands before the range in a pool's name: network_name, or the node of a slice, or both.
 * @returns undefined when the name does not fit the range
 */
export function poolPrefix(name: string, range: string): string | undefined {
  // Old versions named it by the range as it was written, host bits and all.
  for (const text of spellings(range)) {
    const suffix = normal(text);
    if (name === suffix) return '';
    if (name.endsWith(`-${suffix}`)) return name.slice(0, -suffix.length - 1);
  }
  return undefined;
}

function spellings(range: string): string[] {
  const cidr = readCidr(range);
  return cidr === undefined ? [range] : [...new Set([range, formatCidr(cidr), formatCidr(subnetOf(cidr))])];
}

/** int64 in the tool that writes the offsets. */
const WORD = 1n << 64n;

/**
 * The address of an allocation.
 * @param offset decimal, counted from the address in `range` as it is written; a large one may have become negative
 * @returns undefined when it is no number, or leads out of the range
 */
export function addressAt(range: Cidr, offset: string): Address | undefined {
  if (!/^-?\d{1,40}$/.test(offset)) return undefined;
  const { family } = range.address;
  const subnet = subnetOf(range);
  const at = range.address.value + BigInt(offset);
  return [at, at + WORD]
    .filter((value) => value >= 0n)
    .map((value) => ({ family, value }))
    .find((address) => address.value >= firstOf(subnet) && isIn(subnet, address));
}

const isIn = (subnet: Cidr, { family, value }: Address): boolean =>
  firstOf({ address: { family, value }, prefix: subnet.prefix }) === firstOf(subnet) &&
  value < 1n << (family === 4 ? 32n : 128n);

/** The inverse of addressAt. */
export const offsetOf = (range: string, { value }: Address): string =>
  `${value - parseCidr(range).address.value}`;
