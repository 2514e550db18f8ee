// Addresses between the kernel's bytes and the text of pkg/ip. Pure.
import { ManifoldError } from '../errors/manifold-error.ts';
import { formatAddress as formatValue, readAddress } from '../ip/address.ts';
import type { Cidr, Mac } from './kernel.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;

export interface InetAddress {
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** 4 or 16 bytes. */
  readonly bytes: Buffer;
}

export interface InetPrefix extends InetAddress {
  readonly length: number;
}

/** @throws ManifoldError 'bad-config' */
export function parseAddress(text: string): InetAddress {
  const address = readAddress(text);
  if (address === undefined)
    throw new ManifoldError('bad-config', `Cannot use address "${text}": it is neither IPv4 nor IPv6`);
  const [family, size] = address.family === 4 ? ([AF_INET, 4] as const) : ([AF_INET6, 16] as const);
  return { family, bytes: Buffer.from(address.value.toString(16).padStart(size * 2, '0'), 'hex') };
}

/** "10.1.2.3/24"; without a length, that of one host. @throws ManifoldError 'bad-config' */
export function parsePrefix(cidr: Cidr): InetPrefix {
  const slash = cidr.indexOf('/');
  const address = parseAddress(slash === -1 ? cidr : cidr.slice(0, slash));
  const most = address.bytes.length * 8;
  if (slash === -1) return { ...address, length: most };
  const digits = cidr.slice(slash + 1);
  const length = Number(digits);
  if (!/^\d{1,3}$/.test(digits) || length > most) {
    throw new ManifoldError('bad-config', `Cannot use prefix "${cidr}": its length must be 0 to ${most}`);
  }
  return { ...address, length };
}

/** The same prefix with its host bits zero. */
export function networkOf({ family, bytes, length }: InetPrefix): InetPrefix {
  const network = Buffer.from(bytes);
  for (let index = 0; index < network.length; index += 1) {
    const kept = Math.min(8, Math.max(0, length - index * 8));
    network[index] = (network[index] ?? 0) & (0xff << (8 - kept));
  }
  return { family, bytes: network, length };
}

/** Canonical text of 4 or 16 bytes. */
export function formatAddress(bytes: Buffer): string {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes (${bytes.length})`);
  return formatValue({ family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${bytes.toString('hex')}`) });
}

export function formatMac(bytes: Buffer): Mac {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** @throws ManifoldError 'bad-config' */
export function parseMac(mac: Mac): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5,19}$/i.test(mac)) {
    throw new ManifoldError('bad-config', `Cannot use MAC "${mac}": it must have the form 02:00:5e:00:53:01`);
  }
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
