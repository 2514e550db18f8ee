// One ICMP echo from inside a network namespace: what `ping -c 1` does, on machines that have no ping.

import { closeSync } from 'node:fs';
import { pid } from 'node:process';
import { parseAddress } from '../../pkg/ip/address.ts';
import { libc } from '../../pkg/kernel/libc.ts';
import { inNamespace, openNetns } from '../../pkg/kernel/netns.ts';

const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const AF = { 4: 2, 6: 10 } as const;
const IPPROTO = { 4: 1, 6: 58 } as const;
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

/** @returns whether `address` answered within about a second a try */
export function ping(netns: string, address: string, tries = 5): boolean {
  const { family, value } = parseAddress(address);
  const opened = openNetns(netns);
  if (opened === undefined) throw new Error(`no network namespace at ${netns}`);
  const { socket, sendto, recv, setsockopt, close } = libc();
  const fd = inNamespace(opened.fd, () => socket(AF[family], SOCK_RAW, IPPROTO[family]));
  closeSync(opened.fd);
  if (fd < 0) throw new Error('no raw socket: this needs root');
  try {
    const second = Buffer.alloc(16);
    second.writeBigInt64LE(1n);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, second, 16);
    const to = socketAddress(family, value);
    const id = pid & 0xffff;
    for (let sequence = 1; sequence <= tries; sequence++) {
      const request = echo(family, id, sequence);
      sendto(fd, request, BigInt(request.length), 0, to, to.length);
      for (let got = 0; got < 20; got++) {
        const reply = Buffer.alloc(1500);
        const length = Number(recv(fd, reply, 1500n, 0));
        if (length <= 0) break;
        // IPv4 raw sockets deliver the IP header too.
        const icmp =
          family === 4 ? reply.subarray((reply.readUInt8(0) & 15) * 4, length) : reply.subarray(0, length);
        if (icmp.readUInt8(0) === ECHO[family].reply && icmp.readUInt16BE(4) === id) return true;
      }
    }
    return false;
  } finally {
    close(fd);
  }
}

function socketAddress(family: 4 | 6, value: bigint): Buffer {
  const to = Buffer.alloc(family === 4 ? 16 : 28);
  to.writeUInt16LE(AF[family], 0);
  const bytes = Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
  bytes.copy(to, family === 4 ? 4 : 8);
  return to;
}

/** The kernel fills in ICMPv6's checksum; ICMP's is RFC 1071. */
function echo(family: 4 | 6, id: number, sequence: number): Buffer {
  const message = Buffer.alloc(16);
  message.writeUInt8(ECHO[family].request, 0);
  message.writeUInt16BE(id, 4);
  message.writeUInt16BE(sequence, 6);
  if (family === 4) {
    let sum = 0;
    for (let at = 0; at < message.length; at += 2) sum += message.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    message.writeUInt16BE(~sum & 0xffff, 2);
  }
  return message;
}
