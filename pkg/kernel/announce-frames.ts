// The frames that announce an address: ARP announcement (RFC 5227 section 2.3) and unsolicited neighbour
// advertisement (RFC 4861 section 7.2.6). Pure.

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/** ff02::1 as RFC 2464 section 7 maps it. */
const ALL_NODES_MAC = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ICMPV6 = 58;
const ADVERTISEMENT_BYTES = 32;

/**
 * An ARP request whose sender and target are the same address: every cache that has the address takes the MAC over,
 * and nobody answers.
 */
export function arpFrame(mac: Buffer, address: Buffer): Buffer {
  const arp = Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]);
  return Buffer.concat([
    ethernet(BROADCAST, mac, ETHERTYPE_ARP),
    arp,
    mac,
    address,
    Buffer.alloc(6),
    address,
  ]);
}

/** To all nodes, with the override flag and the target's link-layer address. */
export function advertisementFrame(mac: Buffer, address: Buffer): Buffer {
  const destination = Buffer.from(ALL_NODES);
  const message = Buffer.concat([
    // Type 136; flags: neither router nor solicited (section 7.2.6), override.
    Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]),
    address,
    // Option 2, in units of 8 bytes.
    Buffer.from([2, 1]),
    mac,
  ]);
  message.writeUInt16BE(checksum(address, destination, message), 2);
  // Hop limit 255, or receivers drop it (section 7.1.2).
  const header = Buffer.from([0x60, 0, 0, 0, 0, ADVERTISEMENT_BYTES, ICMPV6, 255]);
  return Buffer.concat([ethernet(ALL_NODES_MAC, mac, ETHERTYPE_IPV6), header, address, destination, message]);
}

function ethernet(destination: readonly number[], source: Buffer, type: number): Buffer {
  return Buffer.concat([Buffer.from(destination), source, Buffer.from([type >> 8, type & 0xff])]);
}

/** RFC 8200 section 8.1: over the pseudo-header and the message, whose checksum field is zero. */
function checksum(source: Buffer, destination: Buffer, message: Buffer): number {
  const length = Buffer.from([0, 0, 0, message.length, 0, 0, 0, ICMPV6]);
  const bytes = Buffer.concat([source, destination, length, message]);
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
