// Telling the neighbours who has an address now. The kernel does it for a virtual link; for hardware, frames are sent
// on an AF_PACKET socket inside the namespace, whose close waits for the kernel's RCU (docs/notes/packet-socket.md).
import { advertisementFrame, arpFrame } from './announce-frames.ts';
import { monotonicMs, sleep } from './clock.ts';
import { AF_INET, parseMac, parsePrefix } from './inet.ts';
import type { AnnounceOptions, Cidr, Link } from './kernel.ts';
import { errnoName } from './kernel-error.ts';
import { libc } from './libc.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const LOOK_EVERY_MS = 10;
const PAUSE_MS = 2;
const ETHERNET_ADDRESS_BYTES = 6;

export interface Announcement {
  readonly index: number;
  readonly addresses: readonly Cidr[];
  readonly readLink: () => Link | undefined;
  /** Has the kernel announce every address of the link, once; undefined where one of `addresses` is not on it. */
  readonly notifyPeers: ((mac: string) => void) | undefined;
  /** Runs work in the link's namespace. */
  readonly inside: <T>(work: () => T) => T;
}

/** @returns what failed, one sentence each; empty when all frames were sent */
export function announce(announcement: Announcement, { times, carrierMs }: AnnounceOptions): string[] {
  const { index, addresses, readLink, notifyPeers } = announcement;
  if (addresses.length === 0 || times < 1) return [];
  const link = waitForCarrier(readLink, carrierMs);
  if (link === undefined) return [`Cannot announce on link ${index}: it is gone`];
  if (!link.running) return [`Cannot announce on ${link.name}: no carrier after ${carrierMs} ms`];
  const mac = link.mac === undefined ? undefined : parseMac(link.mac);
  if (link.mac === undefined || mac?.length !== ETHERNET_ADDRESS_BYTES || !link.arp) {
    return [`Cannot announce on ${link.name}: it is no Ethernet link that resolves addresses`];
  }
  // Setting the MAC of hardware, even to what it is, leaves a mark (addr_assign_type).
  if (link.kind !== undefined && notifyPeers !== undefined) {
    for (let round = 1; round <= times; round += 1) notifyPeers(link.mac);
    return [];
  }
  return sendFrames(announcement, link, mac, times);
}

function sendFrames(
  { index, addresses, inside }: Announcement,
  link: Link,
  mac: Buffer,
  times: number,
): string[] {
  const frames = addresses.map((cidr) => {
    const { family, bytes } = parsePrefix(cidr);
    return { cidr, frame: family === AF_INET ? arpFrame(mac, bytes) : advertisementFrame(mac, bytes) };
  });

  const { socket, sendto, close, errno } = libc();
  // Protocol 0: a socket that sends and never receives.
  const fd = inside(() => socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (fd === -1) return [`Cannot announce on ${link.name}: no packet socket (${errnoName(errno())})`];
  try {
    const to = linkAddress(index);
    const failures = new Set<string>();
    for (let round = 1; round <= times; round += 1) {
      if (round > 1) sleep(PAUSE_MS);
      for (const { cidr, frame } of frames) {
        if (sendto(fd, frame, BigInt(frame.length), 0, to, to.length) < 0n) {
          failures.add(`Cannot announce ${cidr} on ${link.name}: ${errnoName(errno())}`);
        }
      }
    }
    return [...failures];
  } finally {
    close(fd);
  }
}

function waitForCarrier(readLink: () => Link | undefined, carrierMs: number): Link | undefined {
  const end = monotonicMs() + carrierMs;
  for (;;) {
    const link = readLink();
    if (link === undefined || link.running || monotonicMs() >= end) return link;
    sleep(LOOK_EVERY_MS);
  }
}

/** struct sockaddr_ll: the link alone counts, the frame has its addresses within. */
function linkAddress(index: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
