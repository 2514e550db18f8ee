import { spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatAddress, formatMac } from '../../pkg/kernel/inet.ts';
import type { Namespace } from '../../pkg/kernel/kernel.ts';
import { libc } from '../../pkg/kernel/libc.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { inNamespace, openNetns } from '../../pkg/kernel/netns.ts';
import { connect, makeNetns, type TestNetns } from '../kit/netns.ts';

const kernel = createKernel();
const ONCE = { times: 1, carrierMs: 0 };
const MAC = '02:00:5e:00:53:01';

let pod: TestNetns;
let peer: TestNetns;
let podSide: Namespace;
let peerSide: Namespace;
let eth: number;
let wire: number;

beforeEach(() => {
  pod = makeNetns();
  peer = makeNetns();
  connect(pod, 'eth0', peer, 'wire');
  podSide = kernel.open(pod.path);
  peerSide = kernel.open(peer.path);
  eth = podSide.link({ name: 'eth0' })?.index ?? 0;
  wire = peerSide.link({ name: 'wire' })?.index ?? 0;
  podSide.setLink(eth, { mac: MAC });
});
afterEach(() => {
  podSide.close();
  peerSide.close();
  pod[Symbol.dispose]();
  peer[Symbol.dispose]();
});

/** What reaches the other end of the wire while `work` runs, ARP and neighbour advertisements only. */
function capture(work: () => void): string[] {
  const AF_PACKET = 17;
  const SOCK_RAW = 3;
  const ETH_P_ALL_BIG_ENDIAN = 0x0300;
  const MSG_DONTWAIT = 0x40;
  const opened = openNetns(peer.path);
  if (opened === undefined) throw new Error('the namespace is gone');
  const { socket, recv, close } = libc();
  const fd = inNamespace(opened.fd, () => socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_BIG_ENDIAN));
  const seen: string[] = [];
  try {
    work();
    const buffer = Buffer.alloc(2048);
    for (;;) {
      const length = Number(recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT));
      if (length < 0) return seen;
      const frame = describeFrame(buffer.subarray(0, length));
      if (frame !== undefined) seen.push(frame);
    }
  } finally {
    close(fd);
    close(opened.fd);
  }
}

function describeFrame(frame: Buffer): string | undefined {
  const to = formatMac(frame.subarray(0, 6));
  const from = formatMac(frame.subarray(6, 12));
  const type = frame.readUInt16BE(12);
  if (type === 0x0806) {
    const operation = frame.readUInt16BE(20);
    const sender = `${formatMac(frame.subarray(22, 28))} ${formatAddress(frame.subarray(28, 32))}`;
    return `${from} > ${to} arp ${operation} ${sender} asks ${formatAddress(frame.subarray(38, 42))}`;
  }
  if (type === 0x86dd && frame[20] === 58 && frame[54] === 136) {
    const addresses = `${formatAddress(frame.subarray(22, 38))} > ${formatAddress(frame.subarray(38, 54))}`;
    const flags = frame.readUInt8(58).toString(16);
    return `${from} > ${to} na ${addresses} hops ${frame[21]} flags ${flags} ${formatAddress(frame.subarray(62, 78))}`;
  }
  return undefined;
}

const arp = (address: string) => `${MAC} > ff:ff:ff:ff:ff:ff arp 1 ${MAC} ${address} asks ${address}`;
const na = (address: string) =>
  `${MAC} > 33:33:00:00:00:01 na ${address} > ff02::1 hops 255 flags 20 ${address}`;

test('IPv4 addresses go out as ARP, IPv6 addresses as neighbour advertisements', () => {
  const failures: string[] = [];
  const frames = capture(() => {
    failures.push(...podSide.announce(eth, ['10.1.2.3/24', '2001:db8::3/64', '10.1.2.4/24'], ONCE));
  });
  expect(failures).toEqual([]);
  expect(frames).toEqual([arp('10.1.2.3'), na('2001:db8::3'), arp('10.1.2.4')]);
});

test('they go out as often as was asked', () => {
  const frames = capture(() => podSide.announce(eth, ['10.1.2.3/24'], { times: 3, carrierMs: 0 }));
  expect(frames).toEqual([arp('10.1.2.3'), arp('10.1.2.3'), arp('10.1.2.3')]);
  expect(capture(() => podSide.announce(eth, ['10.1.2.3/24'], { times: 0, carrierMs: 0 }))).toEqual([]);
  expect(capture(() => podSide.announce(eth, [], ONCE))).toEqual([]);
});

test('where the link has the addresses and the notify sysctls are on, the kernel sends the same frames', () => {
  podSide.writeSysctl('net/ipv4/conf/eth0/arp_notify', '1');
  podSide.writeSysctl('net/ipv6/conf/eth0/ndisc_notify', '1');
  podSide.addAddress(eth, { cidr: '10.1.2.3/24' });
  podSide.addAddress(eth, { cidr: '2001:db8::3/64', nodad: true });
  const addresses = ['10.1.2.3/24', '2001:db8::3/64'];
  const frames = capture(() => {
    expect(podSide.announce(eth, addresses, { times: 3, carrierMs: 0 })).toEqual([]);
  });
  expect(frames.filter((frame) => frame === arp('10.1.2.3'))).toHaveLength(3);
  expect(frames.filter((frame) => frame === na('2001:db8::3'))).toHaveLength(3);
  expect(podSide.link({ index: eth })?.mac).toBe(MAC);
});

test.each([
  ['10.1.2.1/24', '10.1.2.3'],
  ['2001:db8::1/64', '2001:db8::3'],
])('a neighbour (%s) that knows another MAC for %s takes ours', (peerAddress, address) => {
  peerSide.addAddress(wire, { cidr: peerAddress, nodad: true });
  peerSide.addNeighbour({ index: wire, address, mac: '02:00:5e:00:53:ff', permanent: false });
  expect(podSide.announce(eth, [address], ONCE)).toEqual([]);
  expect(peerSide.neighbours(wire)).toContainEqual(expect.objectContaining({ address, mac: MAC }));
});

test('they wait for carrier', async () => {
  peerSide.setLink(wire, { up: false });
  const later = spawn('sh', ['-c', `sleep 0.2; exec ip -n ${peer.name} link set wire up`], {
    stdio: 'ignore',
  });
  const over = new Promise((resolve) => later.once('exit', resolve));
  const frames = capture(() => {
    expect(podSide.announce(eth, ['10.1.2.3/24'], { times: 1, carrierMs: 10_000 })).toEqual([]);
  });
  expect(frames).toEqual([arp('10.1.2.3')]);
  await over;
});

test('what cannot be announced is said and not thrown', () => {
  expect(podSide.announce(4711, ['10.1.2.3/24'], ONCE)).toEqual(['Cannot announce on link 4711: it is gone']);
  expect(podSide.announce(eth, ['10.1.2/24'], ONCE)).toEqual([
    'Cannot use address "10.1.2": it is neither IPv4 nor IPv6',
  ]);
  peerSide.setLink(wire, { up: false });
  expect(podSide.announce(eth, ['10.1.2.3/24'], { times: 1, carrierMs: 20 })).toEqual([
    'Cannot announce on eth0: no carrier after 20 ms',
  ]);
  peerSide.setLink(wire, { up: true });
  podSide.setLink(eth, { arp: false });
  expect(podSide.announce(eth, ['10.1.2.3/24'], ONCE)).toEqual([
    'Cannot announce on eth0: it is no Ethernet link that resolves addresses',
  ]);
});
