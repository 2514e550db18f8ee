// Every frame between the ports, as QEMU writes it down (filter-dump) into the directory that host and guest share.
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { formatMac } from '../../../pkg/kernel/inet.ts';

export interface Frame {
  readonly dst: string;
  readonly src: string;
  /** 802.1Q or 802.1ad; undefined for a frame without tag. */
  readonly vlan: { readonly id: number; readonly priority: number; readonly protocol: number } | undefined;
  /** Behind the tag: 0x0800 is IPv4, 0x0806 ARP, 0x86dd IPv6. */
  readonly etherType: number;
  readonly payload: Buffer;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8]);

export class Wire {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Now: what passed before is not looked at by `frames(mark)`. */
  mark(): number {
    return Math.max(statSync(this.#file).size, FILE_HEADER);
  }

  frames(mark = FILE_HEADER): Frame[] {
    const fd = openSync(this.#file, 'r');
    try {
      const records = Buffer.alloc(Math.max(fstatSync(fd).size - mark, 0));
      return readFrames(records.subarray(0, readSync(fd, records, 0, records.length, mark)));
    } finally {
      closeSync(fd);
    }
  }
}

/** @param records of a pcap file with little-endian headers; one that is cut short is left out */
export function readFrames(records: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + RECORD_HEADER <= records.length; ) {
    const length = records.readUInt32LE(at + 8);
    const end = at + RECORD_HEADER + length;
    if (end > records.length) break;
    if (length >= 18) frames.push(readFrame(records.subarray(at + RECORD_HEADER, end)));
    at = end;
  }
  return frames;
}

function readFrame(bytes: Buffer): Frame {
  const protocol = bytes.readUInt16BE(12);
  const tagged = TAGS.has(protocol);
  const tag = bytes.readUInt16BE(14);
  return {
    dst: formatMac(bytes.subarray(0, 6)),
    src: formatMac(bytes.subarray(6, 12)),
    vlan: tagged ? { id: tag & 0xfff, priority: tag >> 13, protocol } : undefined,
    etherType: tagged ? bytes.readUInt16BE(16) : protocol,
    payload: bytes.subarray(tagged ? 18 : 14),
  };
}
