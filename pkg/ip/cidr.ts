// An address with a prefix length, and the subnet it lies in. Host bits are kept: "10.1.2.3/24" is a Cidr.
import { ManifoldError } from '../errors/manifold-error.ts';
import { type Address, bitsOf, type Family, formatAddress, readAddress } from './address.ts';

export interface Cidr {
  readonly address: Address;
  readonly prefix: number;
}

/** Reads "address/prefix length"; undefined when it is none. No netmasks. */
export function readCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = readAddress(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  return prefix <= bitsOf(address.family) ? { address, prefix } : undefined;
}

/** @throws ManifoldError 'bad-config' */
export function parseCidr(text: string): Cidr {
  const cidr = readCidr(text);
  if (cidr === undefined)
    throw new ManifoldError('bad-config', `Cannot read CIDR: not an address with prefix length ("${text}")`, {
      hint: 'Write it as 10.1.2.0/24 or 2001:db8::/64.',
    });
  return cidr;
}

/** Canonical text, host bits kept: "10.1.2.3/24". */
export const formatCidr = (cidr: Cidr): string => `${formatAddress(cidr.address)}/${cidr.prefix}`;

/** The canonical text of any spelling, host bits kept. @throws ManifoldError 'bad-config' */
export const canonicalCidr = (text: string): string => formatCidr(parseCidr(text));

/** The subnet itself: host bits cleared. */
export function subnetOf(cidr: Cidr): Cidr {
  return { address: { family: cidr.address.family, value: firstOf(cidr) }, prefix: cidr.prefix };
}

const hostMask = (family: Family, prefix: number): bigint => (1n << BigInt(bitsOf(family) - prefix)) - 1n;

/** Number of the subnet's first address: the network address. */
export const firstOf = ({ address, prefix }: Cidr): bigint =>
  address.value & ~hostMask(address.family, prefix);

/** Number of the subnet's last address: the broadcast address of an IPv4 subnet. */
export const lastOf = ({ address, prefix }: Cidr): bigint => address.value | hostMask(address.family, prefix);

/** True when the address lies in the subnet. */
export function cidrContains(cidr: Cidr, address: Address): boolean {
  return (
    cidr.address.family === address.family && firstOf(cidr) <= address.value && address.value <= lastOf(cidr)
  );
}
