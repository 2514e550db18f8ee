import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Kernel, Namespace } from '../../pkg/kernel/kernel.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { connect, makeHostNic, makeNetns, type TestNetns } from '../kit/netns.ts';

let kernel: Kernel;
let node: TestNetns;
let pod: TestNetns;
let nodeSide: Namespace;
let podSide: Namespace;

beforeAll(() => {
  kernel = createKernel();
});
beforeEach(() => {
  node = makeNetns();
  pod = makeNetns();
  connect(node, 'nic0', pod, 'wire');
  nodeSide = kernel.open(node.path);
  podSide = kernel.open(pod.path);
});
afterEach(() => {
  nodeSide.close();
  podSide.close();
  node[Symbol.dispose]();
  pod[Symbol.dispose]();
});

const indexOf = (namespace: Namespace, name: string): number => {
  const link = namespace.link({ name });
  if (link === undefined) throw new Error(`no link ${name}`);
  return link.index;
};
const nic = () => indexOf(nodeSide, 'nic0');

describe('reading links', () => {
  test('a link is what `ip -d -j link` says', () => {
    node.exec(
      'ip',
      'link',
      'set',
      'nic0',
      'mtu',
      '1400',
      'txqueuelen',
      '77',
      'alias',
      'rail 0',
      'group',
      '5',
    );
    node.exec('ip', 'link', 'property', 'add', 'dev', 'nic0', 'altname', 'enp0s1', 'altname', 'rail0');
    node.exec(
      'ip',
      'link',
      'set',
      'nic0',
      'promisc',
      'on',
      'allmulticast',
      'on',
      'arp',
      'off',
      'multicast',
      'off',
    );
    const [said] = node.ip('link', 'show', 'nic0');
    const link = nodeSide.link({ name: 'nic0' });
    expect(link).toMatchObject({
      index: Reflect.get(Object(said), 'ifindex'),
      name: 'nic0',
      mac: Reflect.get(Object(said), 'address'),
      permMac: undefined,
      mtu: 1400,
      maxMtu: Reflect.get(Object(said), 'max_mtu'),
      up: true,
      running: true,
      loopback: false,
      infiniband: false,
      promisc: true,
      allmulti: true,
      multicast: false,
      arp: false,
      txQueueLength: 77,
      group: 5,
      alias: 'rail 0',
      altnames: ['enp0s1', 'rail0'],
      kind: 'veth',
      parentIndex: Reflect.get(Object(said), 'link_index'),
      parentNetnsId: Reflect.get(Object(said), 'link_netnsid'),
      masterIndex: undefined,
      device: undefined,
      macvlan: undefined,
      vfs: [],
    });
  });

  test('the list holds the same link as the single answer', () => {
    node.exec('ip', 'link', 'add', 'br0', 'type', 'bridge');
    node.exec('ip', 'link', 'set', 'nic0', 'master', 'br0');
    const single = nodeSide.link({ name: 'nic0' });
    expect(nodeSide.links().find((link) => link.name === 'nic0')).toEqual(single);
    expect(single?.masterIndex).toBe(indexOf(nodeSide, 'br0'));
    expect(nodeSide.links().map((link) => link.name)).toEqual(['lo', 'nic0', 'br0']);
  });

  test('an alternative name finds the link, a long one too', () => {
    const long = 'a-name-that-no-interface-could-have-by-itself';
    node.exec('ip', 'link', 'property', 'add', 'dev', 'nic0', 'altname', 'short0', 'altname', long);
    expect(nodeSide.link({ name: 'short0' })?.name).toBe('nic0');
    expect(nodeSide.link({ name: long })?.name).toBe('nic0');
  });

  test('a link that is not there is undefined, by index and by name', () => {
    expect(nodeSide.link({ index: 99_999 })).toBeUndefined();
    expect(nodeSide.link({ name: 'nothing' })).toBeUndefined();
    expect(nodeSide.link({ name: 'nothing-with-a-name-longer-than-fifteen' })).toBeUndefined();
  });

  test('a link whose description is larger than any buffer is read in full', () => {
    // 490 names of 127 characters make an answer beyond 64 KiB, as a card with many virtual functions does.
    const names = Array.from({ length: 490 }, (_, number) => String(number).padStart(127, 'x'));
    for (let start = 0; start < names.length; start += 70) {
      nodeSide.setLink(nic(), { addAltnames: names.slice(start, start + 70) });
    }
    expect(nodeSide.link({ index: nic() })?.altnames).toEqual(names);
    expect(nodeSide.links().find(({ name }) => name === 'nic0')?.altnames).toEqual(names);
    expect(nodeSide.link({ name: names[489] ?? '' })?.name).toBe('nic0');
  });

  test('a device of the host names the bus that it sits on', () => {
    const devices = kernel
      .host()
      .links()
      .flatMap((link) => (link.device === undefined ? [] : [link.device]));
    for (const device of devices)
      expect(device).toEqual({ bus: expect.stringMatching(/./), name: expect.stringMatching(/./) });
    expect(
      kernel
        .host()
        .links()
        .find((link) => link.loopback)?.device,
    ).toBeUndefined();
  });
});

describe('macvlan', () => {
  test.each(['bridge', 'private', 'vepa', 'passthru', 'source'] as const)(
    'is created in mode %s in the other namespace, under its final name, down',
    (mode) => {
      const link = nodeSide.createMacvlan(
        { name: 'net1', parentIndex: nic(), mode, bcQueueLength: 321 },
        podSide,
      );
      expect(link).toMatchObject({ name: 'net1', kind: 'macvlan', up: false, parentIndex: nic() });
      expect(link.macvlan).toEqual({ mode, bcQueueLength: 321 });
      const [said] = pod.ip('link', 'show', 'net1');
      expect(said).toMatchObject({ ifname: 'net1', linkinfo: { info_kind: 'macvlan', info_data: { mode } } });
      expect(nodeSide.link({ name: 'net1' })).toBeUndefined();
    },
  );

  test('takes the MAC and MTU that it is given', () => {
    const mac = '02:00:5e:00:53:01';
    const link = nodeSide.createMacvlan(
      { name: 'net1', parentIndex: nic(), mode: 'bridge', mac, mtu: 1280 },
      podSide,
    );
    expect(link).toMatchObject({ mac, mtu: 1280 });
  });

  test('may have a name that another link has where its parent is', () => {
    const link = nodeSide.createMacvlan({ name: 'nic0', parentIndex: nic(), mode: 'bridge' }, podSide);
    expect(link).toMatchObject({ name: 'nic0', kind: 'macvlan', parentIndex: nic() });
    expect(nodeSide.link({ name: 'nic0' })?.kind).not.toBe('macvlan');
  });

  test('can be made in the namespace of its parent', () => {
    const link = nodeSide.createMacvlan({ name: 'net1', parentIndex: nic(), mode: 'bridge' }, nodeSide);
    expect(link.parentNetnsId).toBeUndefined();
    expect(nodeSide.link({ name: 'net1' })?.index).toBe(link.index);
  });

  test('that cannot be made says which, over what, where and why', () => {
    const create =
      (name: string, more = {}) =>
      () =>
        nodeSide.createMacvlan({ name, parentIndex: nic(), mode: 'bridge', ...more }, podSide);
    create('net1')();
    const where = `over nic0 (index ${nic()}) of ${node.path} in ${pod.path}`;
    expect(create('net1')).toThrow(`Cannot create macvlan net1 ${where}: EEXIST`);
    expect(create('net1')).toThrow(expect.objectContaining({ code: 'exists', errno: 'EEXIST' }));
    expect(create('net2', { mode: 'passthru' })).toThrow(`Cannot create macvlan net2 ${where}: EINVAL`);
    expect(create('net2', { parentIndex: 4711 })).toThrow(
      expect.objectContaining({ code: 'not-found', message: expect.stringContaining('over link 4711') }),
    );
    expect(create('net2', { mac: 'zz' })).toThrow(expect.objectContaining({ code: 'bad-config' }));
  });
});

describe('changing a link', () => {
  test('sets all that is given and nothing else', () => {
    const before = nodeSide.link({ index: nic() });
    nodeSide.setLink(nic(), {
      mac: '02:00:5e:00:53:07',
      mtu: 1300,
      promisc: true,
      allmulti: true,
      multicast: false,
      arp: false,
      txQueueLength: 5,
      group: 9,
      alias: 'was eth0',
      addAltnames: ['first', 'second'],
    });
    expect(nodeSide.link({ index: nic() })).toEqual({
      ...before,
      mac: '02:00:5e:00:53:07',
      mtu: 1300,
      promisc: true,
      allmulti: true,
      multicast: false,
      arp: false,
      txQueueLength: 5,
      group: 9,
      alias: 'was eth0',
      altnames: ['first', 'second'],
    });
    nodeSide.setLink(nic(), {
      mac: before?.mac ?? '',
      mtu: 1500,
      promisc: false,
      allmulti: false,
      multicast: true,
      arp: true,
      txQueueLength: 1000,
      group: 0,
      alias: '',
      removeAltnames: ['second', 'first'],
    });
    expect(nodeSide.link({ index: nic() })).toEqual(before);
  });

  test('takes it down and renames it', () => {
    const index = nic();
    nodeSide.setLink(index, { up: false, name: 'other0' });
    expect(nodeSide.link({ index })).toMatchObject({ name: 'other0', up: false, running: false });
  });

  test('renames a link that is up', () => {
    const index = nic();
    nodeSide.setLink(index, { name: 'other0' });
    expect(nodeSide.link({ index })).toMatchObject({ name: 'other0', up: true });
  });

  test('of nothing asks the kernel nothing', () => {
    expect(() => nodeSide.setLink(99_999, {})).not.toThrow();
  });

  test('that is refused gives the words of the kernel', () => {
    expect(() => nodeSide.setLink(nic(), { mtu: 70_000 })).toThrow(
      `Cannot set mtu 70000 of nic0 (index ${nic()}) in ${node.path}: EINVAL: mtu greater than device maximum`,
    );
    expect(() => nodeSide.setLink(4711, { up: true })).toThrow(
      `Cannot set up of link 4711 in ${node.path}: ENODEV`,
    );
    expect(() => nodeSide.setLink(nic(), { removeAltnames: ['none'] })).toThrow(
      `Cannot remove altname none of nic0 (index ${nic()}) in ${node.path}: ENOENT`,
    );
    expect(() => nodeSide.setLink(nic(), { vf: { index: 0, trust: true } })).toThrow(
      `Cannot set trust on on virtual function 0 of nic0 (index ${nic()}) in ${node.path}: EOPNOTSUPP`,
    );
  });
});

describe('moving a link', () => {
  test('renames it on the way, in one message, though it is up', () => {
    const mac = nodeSide.link({ index: nic() })?.mac;
    const index = nodeSide.moveLink(nic(), podSide, { name: 'net1' });
    expect(podSide.link({ index })).toMatchObject({ name: 'net1', mac, up: false });
    expect(nodeSide.link({ name: 'nic0' })).toBeUndefined();
    expect(podSide.link({ name: 'nic0' })).toBeUndefined();
  });

  test('keeps the name when no other is given', () => {
    const index = nodeSide.moveLink(nic(), podSide);
    expect(podSide.link({ name: 'nic0' })?.index).toBe(index);
  });

  test('gives the new index when the old one is taken there', () => {
    // Both namespaces have a link 2: nic0 and wire.
    expect(nic()).toBe(indexOf(podSide, 'wire'));
    const index = nodeSide.moveLink(nic(), podSide, { name: 'net1' });
    expect(index).not.toBe(indexOf(podSide, 'wire'));
    expect(podSide.link({ index })?.name).toBe('net1');
  });

  test('to where the name is taken is refused and leaves it where it was', () => {
    const before = nodeSide.link({ index: nic() });
    const move = () => nodeSide.moveLink(nic(), podSide, { name: 'wire' });
    expect(move).toThrow(
      `Cannot move nic0 (index ${nic()}) from ${node.path} to ${pod.path} as wire: EEXIST`,
    );
    expect(move).toThrow(expect.objectContaining({ code: 'exists' }));
    expect(nodeSide.link({ index: nic() })).toEqual(before);
  });

  test('under a name that the kernel refuses only after the move brings it back', () => {
    const before = nodeSide.link({ index: nic() });
    const index = nic();
    expect(() => nodeSide.moveLink(index, podSide, { name: 'a/b' })).toThrow(
      `Cannot move nic0 (index ${index}) from ${node.path} to ${pod.path} as a/b: EINVAL`,
    );
    expect(nodeSide.link({ name: 'nic0' })).toMatchObject({ mac: before?.mac, kind: 'veth' });
    expect(podSide.links().map((link) => link.name)).toEqual(['lo', 'wire']);
  });

  test('that is not there says so', () => {
    expect(() => nodeSide.moveLink(4711, podSide)).toThrow(
      expect.objectContaining({ code: 'not-found', errno: 'ENODEV' }),
    );
  });

  test('goes from the host into a pod and back', () => {
    using hostNic = makeHostNic();
    const host = kernel.host();
    const index = host.moveLink(indexOf(host, hostNic.name), podSide, { name: 'net1' });
    expect(host.link({ name: hostNic.name })).toBeUndefined();
    podSide.moveLink(index, host, { name: hostNic.name });
    expect(host.link({ name: hostNic.name })?.kind).toBe('veth');
  });
});

describe('deleting links', () => {
  const make = (name: string) =>
    nodeSide.createMacvlan({ name, parentIndex: nic(), mode: 'bridge' }, podSide).index;

  test('removes one', () => {
    podSide.deleteLinks([make('net1')]);
    expect(podSide.links().map((link) => link.name)).toEqual(['lo', 'wire']);
  });

  test('removes several together, and only those', () => {
    const kept = make('net0');
    podSide.deleteLinks(['net1', 'net2', 'net3'].map(make));
    expect(podSide.links().map((link) => link.name)).toEqual(['lo', 'wire', 'net0']);
    expect(podSide.link({ index: kept })?.group).toBe(0);
  });

  test('counts missing ones as done', () => {
    const index = make('net1');
    podSide.deleteLinks([]);
    podSide.deleteLinks([4711]);
    podSide.deleteLinks([4711, 4712]);
    podSide.deleteLinks([4711, index, index]);
    expect(podSide.link({ index })).toBeUndefined();
  });

  test('removes the rest when one of them cannot be deleted, and says which', () => {
    const index = make('net1');
    const loopback = indexOf(podSide, 'lo');
    expect(() => podSide.deleteLinks([loopback, index])).toThrow(
      `Cannot delete lo (index ${loopback}) in ${pod.path}`,
    );
    expect(podSide.link({ index })).toBeUndefined();
    expect(podSide.link({ index: loopback })?.group).toBe(0);
  });
});

test('a veth pair is created with one end in each namespace', () => {
  nodeSide.createVeth({ name: 'veth1', peer: 'eth0' }, podSide);
  expect(nodeSide.link({ name: 'veth1' })).toMatchObject({ kind: 'veth', up: false });
  expect(podSide.link({ name: 'eth0' })?.parentIndex).toBe(indexOf(nodeSide, 'veth1'));
  expect(() => nodeSide.createVeth({ name: 'veth1', peer: 'eth1' }, podSide)).toThrow(
    `Cannot create veth veth1 in ${node.path} with peer eth1 in ${pod.path}: EEXIST`,
  );
});

afterAll(() => {
  expect(
    kernel
      .host()
      .links()
      .filter((link) => link.name === 'nic0'),
  ).toEqual([]);
});
