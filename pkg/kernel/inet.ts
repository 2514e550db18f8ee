// Addresses between the kernel's bytes and canonical text (RFC 5952 for IPv6). Pure; ranges are pkg/ip's matter.
import { isIPv4, isIPv6 } from 'node:net';
import { ManifoldError } from '../errors/manifold-error.ts';
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
export function parseAddress(address: string): InetAddress {
  if (isIPv4(address)) return { family: AF_INET, bytes: Buffer.from(address.split('.').map(Number)) };
  if (isIPv6(address) && !address.includes('%')) return { family: AF_INET6, bytes: ipv6Bytes(address) };
  throw new ManifoldError('bad-config', `Cannot use address "${address}": it is neither IPv4 nor IPv6`);
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
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes (${bytes.length})`);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  // RFC 5952 section 5: an IPv4-mapped address shows its IPv4 part in dots.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12).join('.')}`;
  }
  const gap = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (gap.length < 2) return hex.join(':');
  return `${hex.slice(0, gap.start).join(':')}::${hex.slice(gap.start + gap.length).join(':')}`;
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

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const bytes = Buffer.alloc(16);
  front.forEach((group, index) => {
    bytes.writeUInt16BE(group, index * 2);
  });
  back.forEach((group, index) => {
    bytes.writeUInt16BE(group, (8 - back.length + index) * 2);
  });
  return bytes;
}

function groupsOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
