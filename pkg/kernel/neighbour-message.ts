// Neighbours (ARP and NDP entries) as rtnetlink messages: ndmsg and NDA_* attributes. Pure.
import { attribute, readAttributes } from './attributes.ts';
import { formatAddress, formatMac, parseAddress, parseMac } from './inet.ts';
import type { Neighbour } from './kernel.ts';

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_REACHABLE = 0x02;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const HEADER_BYTES = 12;

/** Body of the RTM_GETNEIGH dump: both families. */
export function listNeighboursBody(): Uint8Array[] {
  return [header(0, 0, 0)];
}

/** Undefined for another link, and for what needs no resolution (multicast, loopback): the kernel's own business. */
export function parseNeighbour(payload: Buffer, index: number | undefined): Neighbour | undefined {
  const ofLink = payload.readInt32LE(4);
  const state = payload.readUInt16LE(8);
  if ((index !== undefined && ofLink !== index) || (state & NUD_NOARP) !== 0) return undefined;
  const found = readAttributes(payload.subarray(HEADER_BYTES));
  const address = found.get(NDA_DST);
  const mac = found.get(NDA_LLADDR);
  if (address === undefined) return undefined;
  return {
    index: ofLink,
    address: formatAddress(address),
    mac: mac === undefined ? undefined : formatMac(mac),
    permanent: (state & NUD_PERMANENT) !== 0,
  };
}

export function neighbourBody({ index, address, mac, permanent }: Neighbour): Uint8Array[] {
  const { family, bytes } = parseAddress(address);
  return [
    header(family, index, permanent ? NUD_PERMANENT : NUD_REACHABLE),
    attribute(NDA_DST, bytes),
    ...(mac === undefined ? [] : [attribute(NDA_LLADDR, parseMac(mac))]),
  ];
}

/** struct ndmsg. */
function header(family: number, index: number, state: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt16LE(state, 8);
  return bytes;
}
