// Links as rtnetlink messages: ifinfomsg and IFLA_* attributes, read and built. Pure.
import {
  type Attributes,
  attribute,
  nested,
  readAttributes,
  readList,
  string,
  text,
  textOf,
  u32,
  u32Of,
} from './attributes.ts';
import { formatMac, parseMac } from './inet.ts';
import type { Link, LinkChange, MacvlanMode, NewMacvlan } from './kernel.ts';
import { readVirtualFunctions } from './virtual-function.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWLINKPROP = 108;
export const RTM_DELLINKPROP = 109;

export const IFLA_IFNAME = 3;
export const IFLA_GROUP = 27;
export const IFLA_NET_NS_FD = 28;
const IFLA_ADDRESS = 1;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_VFINFO_LIST = 22;
const IFLA_EXT_MASK = 29;
const IFLA_PHYS_PORT_ID = 34;
const IFLA_LINK_NETNSID = 37;
const IFLA_PHYS_PORT_NAME = 38;
const IFLA_MAX_MTU = 51;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFLA_PERM_ADDRESS = 54;
const IFLA_PARENT_DEV_NAME = 56;
const IFLA_PARENT_DEV_BUS_NAME = 57;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_MACVLAN_MODE = 1;
const IFLA_MACVLAN_BC_QUEUE_LEN = 7;
const VETH_INFO_PEER = 1;

const RTEXT_FILTER_VF = 1;
const RTEXT_FILTER_SKIP_STATS = 8;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_NOARP = 0x80;
const IFF_PROMISC = 0x100;
const IFF_ALLMULTI = 0x200;
const IFF_MULTICAST = 0x1000;
const IFF_LOWER_UP = 0x10000;

/** ifi_type, include/uapi/linux/if_arp.h. */
const ARPHRD_INFINIBAND = 32;

const HEADER_BYTES = 16;
/** IFNAMSIZ less the NUL: a longer name can only be an alternative one. */
const MAX_NAME = 15;

/** include/uapi/linux/if_link.h: MACVLAN_MODE_*. */
const MACVLAN_MODES: Readonly<Record<MacvlanMode, number>> = {
  private: 1,
  vepa: 2,
  bridge: 4,
  passthru: 8,
  source: 16,
};

/** struct ifinfomsg, AF_UNSPEC. */
export function linkHeader(index = 0, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

/** Body of RTM_GETLINK for one link: with its virtual functions, without their counters. */
export function getLinkBody(ref: { readonly index: number } | { readonly name: string }): Uint8Array[] {
  const mask = u32(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS);
  if ('index' in ref) return [linkHeader(ref.index), mask];
  return [linkHeader(), mask, string(ref.name.length > MAX_NAME ? IFLA_ALT_IFNAME : IFLA_IFNAME, ref.name)];
}

/** Body of the RTM_GETLINK dump. */
export function listLinksBody(): Uint8Array[] {
  return [linkHeader(), u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)];
}

export function parseLink(payload: Buffer): Link {
  const flags = payload.readUInt32LE(8);
  const found = readAttributes(payload.subarray(HEADER_BYTES));
  const info = nestedOf(found, IFLA_LINKINFO);
  const kind = textOf(info, IFLA_INFO_KIND);
  const mac = found.get(IFLA_ADDRESS);
  const parent = u32Of(found, IFLA_LINK);
  const device = textOf(found, IFLA_PARENT_DEV_NAME);
  const vfs = found.get(IFLA_VFINFO_LIST);
  const properties = found.get(IFLA_PROP_LIST);
  return {
    index: payload.readInt32LE(4),
    name: textOf(found, IFLA_IFNAME) ?? '',
    mac: macOf(mac),
    permMac: macOf(found.get(IFLA_PERM_ADDRESS)),
    mtu: u32Of(found, IFLA_MTU) ?? 0,
    maxMtu: u32Of(found, IFLA_MAX_MTU) ?? 0,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    infiniband: payload.readUInt16LE(2) === ARPHRD_INFINIBAND,
    promisc: (flags & IFF_PROMISC) !== 0,
    allmulti: (flags & IFF_ALLMULTI) !== 0,
    multicast: (flags & IFF_MULTICAST) !== 0,
    arp: (flags & IFF_NOARP) === 0,
    txQueueLength: u32Of(found, IFLA_TXQLEN) ?? 0,
    group: u32Of(found, IFLA_GROUP) ?? 0,
    alias: textOf(found, IFLA_IFALIAS),
    altnames: properties === undefined ? [] : readList(properties, IFLA_ALT_IFNAME).map(text),
    kind,
    // A link without parent in sight (a tunnel) carries IFLA_LINK 0.
    parentIndex: parent === 0 ? undefined : parent,
    parentNetnsId: found.get(IFLA_LINK_NETNSID)?.readInt32LE(0),
    masterIndex: u32Of(found, IFLA_MASTER),
    device:
      device === undefined ? undefined : { bus: textOf(found, IFLA_PARENT_DEV_BUS_NAME) ?? '', name: device },
    portName: textOf(found, IFLA_PHYS_PORT_NAME),
    portId: found.get(IFLA_PHYS_PORT_ID)?.toString('hex'),
    macvlan: kind === 'macvlan' ? parseMacvlan(nestedOf(info, IFLA_INFO_DATA)) : undefined,
    vfs: vfs === undefined ? [] : readVirtualFunctions(vfs, mac?.length ?? 6),
  };
}

/** Body of RTM_NEWLINK for a macvlan that appears in another namespace. @param index 0: the kernel chooses */
export function newMacvlanBody(macvlan: NewMacvlan, targetFd: number, index = 0): Uint8Array[] {
  const { name, parentIndex, mode, mac, mtu, bcQueueLength } = macvlan;
  return [
    linkHeader(index),
    string(IFLA_IFNAME, name),
    u32(IFLA_LINK, parentIndex),
    u32(IFLA_NET_NS_FD, targetFd),
    ...(mac === undefined ? [] : [attribute(IFLA_ADDRESS, parseMac(mac))]),
    ...(mtu === undefined ? [] : [u32(IFLA_MTU, mtu)]),
    nested(IFLA_LINKINFO, [
      string(IFLA_INFO_KIND, 'macvlan'),
      nested(IFLA_INFO_DATA, [
        u32(IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]),
        ...(bcQueueLength === undefined ? [] : [u32(IFLA_MACVLAN_BC_QUEUE_LEN, bcQueueLength)]),
      ]),
    ]),
  ];
}

/** Body of RTM_NEWLINK for a veth pair whose peer appears in another namespace. */
export function newVethBody(name: string, peer: string, peerTargetFd: number): Uint8Array[] {
  const peerInfo = Buffer.concat([
    linkHeader(),
    string(IFLA_IFNAME, peer),
    u32(IFLA_NET_NS_FD, peerTargetFd),
  ]);
  return [
    linkHeader(),
    string(IFLA_IFNAME, name),
    nested(IFLA_LINKINFO, [
      string(IFLA_INFO_KIND, 'veth'),
      nested(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER, peerInfo)]),
    ]),
  ];
}

/** Body of RTM_NEWLINK for all of a change but altnames and virtual functions; undefined when nothing is left. */
export function setLinkBody(index: number, change: LinkChange): Uint8Array[] | undefined {
  const { name, mac, mtu, txQueueLength, group, masterIndex, alias } = change;
  const attributes = [
    ...(name === undefined ? [] : [string(IFLA_IFNAME, name)]),
    ...(mac === undefined ? [] : [attribute(IFLA_ADDRESS, parseMac(mac))]),
    ...(mtu === undefined ? [] : [u32(IFLA_MTU, mtu)]),
    ...(txQueueLength === undefined ? [] : [u32(IFLA_TXQLEN, txQueueLength)]),
    ...(group === undefined ? [] : [u32(IFLA_GROUP, group)]),
    ...(masterIndex === undefined ? [] : [u32(IFLA_MASTER, masterIndex)]),
    // Without a NUL: an attribute of no bytes clears the alias.
    ...(alias === undefined ? [] : [attribute(IFLA_IFALIAS, Buffer.from(alias))]),
  ];
  const { flags, mask } = flagChange(change);
  return attributes.length === 0 && mask === 0 ? undefined : [linkHeader(index, flags, mask), ...attributes];
}

/** Body of RTM_NEWLINKPROP and RTM_DELLINKPROP. */
export function altnamesBody(index: number, altnames: readonly string[]): Uint8Array[] {
  return [
    linkHeader(index),
    nested(
      IFLA_PROP_LIST,
      altnames.map((name) => string(IFLA_ALT_IFNAME, name)),
    ),
  ];
}

function flagChange(change: LinkChange): { readonly flags: number; readonly mask: number } {
  const wanted: readonly (readonly [bit: number, value: boolean | undefined])[] = [
    [IFF_UP, change.up],
    [IFF_PROMISC, change.promisc],
    [IFF_ALLMULTI, change.allmulti],
    [IFF_MULTICAST, change.multicast],
    [IFF_NOARP, change.arp === undefined ? undefined : !change.arp],
  ];
  let flags = 0;
  let mask = 0;
  for (const [bit, value] of wanted) {
    if (value !== undefined) mask |= bit;
    if (value === true) flags |= bit;
  }
  return { flags, mask };
}

function parseMacvlan(found: Attributes): NonNullable<Link['macvlan']> {
  const number = u32Of(found, IFLA_MACVLAN_MODE);
  const mode = number === undefined ? undefined : macvlanMode(number);
  return { mode: mode ?? 'vepa', bcQueueLength: u32Of(found, IFLA_MACVLAN_BC_QUEUE_LEN) };
}

function macvlanMode(number: number): MacvlanMode | undefined {
  const modes: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru', 'source'];
  return modes.find((mode) => MACVLAN_MODES[mode] === number);
}

function nestedOf(found: Attributes, type: number): Attributes {
  const bytes = found.get(type);
  return bytes === undefined ? new Map() : readAttributes(bytes);
}

function macOf(bytes: Buffer | undefined): string | undefined {
  return bytes === undefined || bytes.length === 0 ? undefined : formatMac(bytes);
}
