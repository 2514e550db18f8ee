// NETLINK_RDMA messages of the client RDMA_NL_NLDEV, read and built: include/uapi/rdma/rdma_netlink.h. They have
// attributes only, no header of their own. Pure.
import { attribute, readAttributes, string, textOf, u32, u32Of } from './attributes.ts';
import type { RdmaDevice, RdmaMode, RdmaPort } from './rdma.ts';

const RDMA_NL_NLDEV = 5;
/** RDMA_NL_GET_TYPE. */
const type = (command: number): number => (RDMA_NL_NLDEV << 10) + command;

export const RDMA_GET = type(1);
export const RDMA_SET = type(2);
export const RDMA_PORT_GET = type(5);
export const RDMA_SYS_GET = type(6);
export const RDMA_SYS_SET = type(7);

const ATTR_DEV_INDEX = 1;
const ATTR_DEV_NAME = 2;
const ATTR_PORT_INDEX = 3;
const ATTR_NODE_GUID = 6;
const ATTR_NDEV_INDEX = 50;
const ATTR_NDEV_NAME = 51;
const SYS_ATTR_NETNS_MODE = 66;
const ATTR_DEV_PROTOCOL = 67;
const NET_NS_FD = 68;

/** By the kernel's number. */
const MODES: readonly RdmaMode[] = ['exclusive', 'shared'];

export const deviceBody = (device: number): Uint8Array[] => [u32(ATTR_DEV_INDEX, device)];

export const renameBody = (device: number, name: string): Uint8Array[] => [
  ...deviceBody(device),
  string(ATTR_DEV_NAME, name),
];

/** Without a name: with one, the kernel renames the device and does not look at the namespace. */
export const moveBody = (device: number, targetFd: number): Uint8Array[] => [
  ...deviceBody(device),
  u32(NET_NS_FD, targetFd),
];

export const modeBody = (mode: RdmaMode): Uint8Array[] => [
  attribute(SYS_ATTR_NETNS_MODE, Buffer.of(MODES.indexOf(mode))),
];

export function parseMode(payload: Buffer): RdmaMode {
  const number = readAttributes(payload).get(SYS_ATTR_NETNS_MODE)?.[0];
  // Kernels that do not know the mode (before 5.2) share.
  return MODES[number ?? 1] ?? 'shared';
}

export function parseDevice(payload: Buffer): RdmaDevice {
  const found = readAttributes(payload);
  const guid = found.get(ATTR_NODE_GUID);
  return {
    index: u32Of(found, ATTR_DEV_INDEX) ?? 0,
    name: textOf(found, ATTR_DEV_NAME) ?? '',
    // RDMA_NLDEV_CMD_GET gives the number of ports here.
    ports: u32Of(found, ATTR_PORT_INDEX) ?? 0,
    nodeGuid: guid === undefined ? '' : guidText(guid),
    protocol: textOf(found, ATTR_DEV_PROTOCOL),
  };
}

export function parsePort(payload: Buffer): RdmaPort {
  const found = readAttributes(payload);
  const index = u32Of(found, ATTR_NDEV_INDEX);
  return {
    number: u32Of(found, ATTR_PORT_INDEX) ?? 0,
    netdev: index === undefined ? undefined : { index, name: textOf(found, ATTR_NDEV_NAME) ?? '' },
  };
}

/** A number of the host's byte order, its first digits first. */
function guidText(bytes: Buffer): string {
  const digits = bytes.readBigUInt64LE(0).toString(16).padStart(16, '0');
  return digits.replace(/(....)(?=.)/g, '$1:');
}
