import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import { createExchange, type Transport } from '../../pkg/kernel/exchange.ts';
import type { Kernel, Namespace } from '../../pkg/kernel/kernel.ts';
import { listLinks } from '../../pkg/kernel/link-operations.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { openNetlinkSocket } from '../../pkg/kernel/netlink-socket.ts';
import { openNetns } from '../../pkg/kernel/netns.ts';
import { connect, makeNetns, type TestNetns } from '../kit/netns.ts';

const MANY = 4000;

let kernel: Kernel;
let node: TestNetns;
let pod: TestNetns;
let nodeSide: Namespace;
let podSide: Namespace;

beforeAll(() => {
  kernel = createKernel();
  node = makeNetns();
  pod = makeNetns();
  connect(node, 'nic0', pod, 'wire');
  nodeSide = kernel.open(node.path);
  podSide = kernel.open(pod.path);
});
afterAll(() => {
  nodeSide.close();
  podSide.close();
  node[Symbol.dispose]();
  pod[Symbol.dispose]();
});

/** macvlans: cheaper than veth pairs, and one parent carries them all. */
function makeLinks(prefix: string, count: number): string[] {
  const parentIndex = nodeSide.link({ name: 'nic0' })?.index ?? 0;
  return Array.from({ length: count }, (_, number) => {
    const link = nodeSide.createMacvlan({ name: `${prefix}${number}`, parentIndex, mode: 'bridge' }, podSide);
    return link.name;
  });
}

describe('a namespace with thousands of links', () => {
  let names: string[];

  beforeAll(() => {
    names = makeLinks('m', MANY);
  });

  test('is listed in full', () => {
    const listed = podSide.links().map(({ name }) => name);
    expect(listed).toHaveLength(MANY + 2);
    expect(new Set(listed)).toEqual(new Set(['lo', 'wire', ...names]));
  });

  test('is listed as `ip -d -j link` lists it', () => {
    const said = pod.ip('link').map((link) => Object(link));
    const ours = podSide.links().map(({ index, name, mac, mtu, group, txQueueLength }) => ({
      ifindex: index,
      ifname: name,
      address: mac,
      mtu,
      group: group === 0 ? 'default' : group,
      txqlen: txQueueLength,
    }));
    expect(ours).toEqual(
      said.map(({ ifindex, ifname, address, mtu, group, txqlen }) => ({
        ifindex,
        ifname,
        address,
        mtu,
        group,
        txqlen,
      })),
    );
  });

  test('finds one of them by name and by index', () => {
    const last = podSide.link({ name: `m${MANY - 1}` });
    expect(podSide.link({ index: last?.index ?? 0 })).toEqual(last);
  });

  test('gives the addresses of one link only when asked for one', () => {
    const index = podSide.link({ name: 'm7' })?.index ?? 0;
    podSide.addAddress(index, { cidr: '10.1.2.3/24' });
    expect(podSide.addresses(index).map(({ cidr }) => cidr)).toEqual(['10.1.2.3/24']);
  });

  test('is emptied by one deletion', () => {
    const indexes = podSide.links().flatMap(({ index, kind }) => (kind === 'macvlan' ? [index] : []));
    podSide.deleteLinks(indexes);
    expect(podSide.links().map(({ name }) => name)).toEqual(['lo', 'wire']);
  });
});

test('thousands of routes are listed in full', () => {
  const wire = podSide.link({ name: 'wire' })?.index ?? 0;
  const destinations = Array.from({ length: 2000 }, (_, number) => `10.${number >> 8}.${number & 255}.0/24`);
  for (const dst of destinations) podSide.addRoute({ dst, index: wire });
  const listed = podSide.routes().flatMap(({ dst }) => (dst.startsWith('10.') ? [dst] : []));
  expect(listed).toEqual(destinations);
});

describe('a list that is read while links come and go', () => {
  let churn: ChildProcess;
  let stable: string[];

  beforeAll(() => {
    stable = makeLinks('s', 300);
    // Runs until it is told to stop, or some minutes when nobody can: each pass makes and removes five links.
    const pass = [1, 2, 3, 4, 5].map((n) => `ip link add c${n} type bridge; ip link del c${n}`).join('; ');
    churn = spawn('ip', ['netns', 'exec', pod.name, 'sh', '-c', `for n in $(seq 2000); do ${pass}; done`], {
      stdio: 'ignore',
    });
  });
  afterAll(async () => {
    const over = new Promise((resolve) => churn.once('exit', resolve));
    churn.kill('SIGKILL');
    await over;
  });

  test('has every link that stays, once, however often the kernel interrupts it', () => {
    const opened = openNetns(pod.path);
    if (opened === undefined) throw new Error('the namespace is gone');
    const socket = openNetlinkSocket(opened.fd, pod.path);
    let interruptions = 0;
    const counting: Transport = {
      send: socket.send,
      receive(task) {
        const datagram = socket.receive(task);
        if ((datagram.readUInt16LE(6) & 0x10) !== 0) interruptions += 1;
        return datagram;
      },
    };
    const door = { exchange: createExchange(counting), fd: opened.fd, where: pod.path };
    let complete = 0;
    const seen = new Set<string>();
    try {
      while (interruptions < 20 || complete < 50 || seen.size === 0) {
        let names: string[];
        try {
          names = listLinks(door).map(({ name }) => name);
        } catch (error) {
          // Ten interruptions in a row: allowed, if rare.
          if (!isManifoldError(error, 'try-later')) throw error;
          continue;
        }
        complete += 1;
        expect(new Set(names).size).toBe(names.length);
        expect(names.filter((name) => name.startsWith('s'))).toEqual(stable);
        for (const name of names) if (/^c\d$/.test(name)) seen.add(name);
      }
    } finally {
      socket.close();
      closeSync(opened.fd);
    }
  });
});
