// Addresses of links as rtnetlink messages: ifaddrmsg and IFA_* attributes. Pure.
import { attribute, readAttributes, u32, u32Of } from './attributes.ts';
import { AF_INET, formatAddress, type InetPrefix, parsePrefix } from './inet.ts';
import type { Address, Cidr, NewAddress } from './kernel.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;

const IFA_F_NODAD = 0x02;
const RT_SCOPE_HOST = 254;
const HEADER_BYTES = 8;

const FLAGS: readonly (readonly [bit: number, name: Address['flags'][number]])[] = [
  [0x01, 'secondary'],
  [IFA_F_NODAD, 'nodad'],
  [0x08, 'dadfailed'],
  [0x40, 'tentative'],
  [0x80, 'permanent'],
];

/** Body of the RTM_GETADDR dump; the kernel itself filters by link (NETLINK_GET_STRICT_CHK). */
export function listAddressesBody(index: number): Uint8Array[] {
  return [header(0, 0, 0, index)];
}

/** Undefined for another family or, on a kernel that does not filter, another link. `index` 0 is every link. */
export function parseAddressMessage(payload: Buffer, index: number): Address | undefined {
  const ofLink = payload.readUInt32LE(4);
  if (index !== 0 && ofLink !== index) return undefined;
  const found = readAttributes(payload.subarray(HEADER_BYTES));
  // With a peer IFA_ADDRESS is the peer's and IFA_LOCAL ours; IPv6 has IFA_LOCAL only then.
  const address = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
  if (address === undefined || (address.length !== 4 && address.length !== 16)) return undefined;
  const bits = u32Of(found, IFA_FLAGS) ?? payload.readUInt8(2);
  // 0x01 means "secondary" for IPv4 only; for IPv6 it is "temporary".
  const known = address.length === 4 ? FLAGS : FLAGS.filter(([, name]) => name !== 'secondary');
  return {
    index: ofLink,
    cidr: `${formatAddress(address)}/${payload.readUInt8(1)}`,
    scope: payload.readUInt8(3),
    flags: known.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name),
  };
}

export function newAddressBody(index: number, { cidr, nodad = false }: NewAddress): Uint8Array[] {
  const prefix = parsePrefix(cidr);
  const broadcast = broadcastOf(prefix);
  return [
    header(prefix.family, prefix.length, isLoopback(prefix) ? RT_SCOPE_HOST : 0, index),
    attribute(IFA_LOCAL, prefix.bytes),
    attribute(IFA_ADDRESS, prefix.bytes),
    ...(broadcast === undefined ? [] : [attribute(IFA_BROADCAST, broadcast)]),
    ...(nodad ? [u32(IFA_FLAGS, IFA_F_NODAD)] : []),
  ];
}

export function removeAddressBody(index: number, cidr: Cidr): Uint8Array[] {
  const prefix = parsePrefix(cidr);
  return [header(prefix.family, prefix.length, 0, index), attribute(IFA_LOCAL, prefix.bytes)];
}

/** struct ifaddrmsg. */
function header(family: number, length: number, scope: number, index: number): Buffer {
  const bytes = Buffer.from([family, length, 0, scope, 0, 0, 0, 0]);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}

/** The last address of an IPv4 network: the kernel adds none by itself (a /31 has none, RFC 3021). */
function broadcastOf({ family, bytes, length }: InetPrefix): Buffer | undefined {
  if (family !== AF_INET || length > 30) return undefined;
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((bytes.readUInt32BE(0) | (0xffffffff >>> length)) >>> 0);
  return broadcast;
}

function isLoopback({ family, bytes }: InetPrefix): boolean {
  return family === AF_INET && bytes[0] === 127;
}
