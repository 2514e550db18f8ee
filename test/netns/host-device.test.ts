import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { FAILS, scriptIpam } from '../kit/script-ipam.ts';
import { type IpLink, TestNode } from '../kit/test-node.ts';
import { CHECK_VERSIONS, VERSIONS } from '../kit/versions.ts';

let node: TestNode;
beforeEach(() => {
  node = new TestNode();
  node.addNic('eth5');
  node.addPod('a');
});
afterEach(() => {
  try {
    expectClean(node);
  } finally {
    node.close();
  }
});

const conf = (more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'fabric',
  type: 'host-device',
  device: 'eth5',
  ipam: { type: 'manifold-ipam', range: '172.30.0.0/24' },
  manifold: node.manifold,
  ...more,
});
const add = (c: JsonObject, options = {}) => node.call('host-device', 'ADD', c, { pod: 'a', ...options });
const del = (c: JsonObject, options = {}) => node.call('host-device', 'DEL', c, { pod: 'a', ...options });
const onHost = () => node.links().find((link) => link.ifname === 'eth5');
const shape = (link: IpLink | undefined) =>
  link && { ...link, addr_info: link.addr_info.filter((a) => a.scope !== 'link') };

describe.each(VERSIONS)('host-device, CNI %s', (cniVersion) => {
  test('ADD moves the device, DEL brings it back', async () => {
    const c = conf({ cniVersion });
    const before = onHost();
    const added = await add(c);
    expect(added).toMatchObject({ code: 0, json: { cniVersion } });
    expect(onHost()).toBeUndefined();
    const [link] = node.links('a');
    expect(link).toMatchObject({
      ifname: 'net1',
      address: before?.address,
      flags: expect.arrayContaining(['UP']),
    });
    expect(link?.addr_info.filter((a) => a.scope === 'global')).toMatchObject([
      { local: '172.30.0.1', prefixlen: 24 },
    ]);
    expect(await del(c)).toMatchObject({ code: 0, stdout: '' });
    expect(node.links('a')).toEqual([]);
    expect(shape(onHost())).toEqual(shape(before));
  });
});

describe.each(CHECK_VERSIONS)('host-device CHECK, CNI %s', (cniVersion) => {
  test.each<[string, (pod: (...words: string[]) => string) => void, string | undefined]>([
    ['is satisfied with what ADD made', () => undefined, undefined],
    [
      'misses the address',
      (pod) => pod('addr', 'flush', 'dev', 'net1'),
      'net1 lacks the address 172.30.0.1/24',
    ],
    [
      'sees another device under the name',
      (pod) => {
        pod('link', 'set', 'net1', 'down', 'name', 'x');
        pod('link', 'add', 'net1', 'type', 'bridge');
      },
      'Cannot confirm net1',
    ],
    [
      'misses the device',
      (pod) => pod('link', 'set', 'net1', 'down', 'name', 'x'),
      'the interface is gone or was renamed',
    ],
  ])('%s', async (_what, spoil, text) => {
    const c = conf({ cniVersion });
    const { json } = await add(c);
    spoil((...words) => node.podIp('a', ...words));
    const outcome = await node.call('host-device', 'CHECK', { ...c, prevResult: json }, { pod: 'a' });
    expect(outcome.code).toBe(text === undefined ? 0 : 1);
    if (text !== undefined) expect(outcome.json.msg).toContain(text);
    await del(c);
    expect(onHost()).toBeDefined();
  });
});

describe('the device is found by', () => {
  test.each<[string, () => JsonObject]>([
    ['its name', () => ({ device: 'eth5' })],
    ['an alternative name', () => ({ device: 'a-rather-long-alternative-name' })],
    ['its MAC', () => ({ device: undefined, hwaddr: onHost()?.address ?? '' })],
  ])('%s', async (_what, selector) => {
    node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'a-rather-long-alternative-name');
    const c = conf(selector());
    expect(await add(c)).toMatchObject({ code: 0 });
    expect(node.links('a')).toHaveLength(1);
    await del(c);
    expect(onHost()).toBeDefined();
  });

  test('nothing: the configuration is refused', async () => {
    const outcome = await add(conf({ device: undefined }));
    expect(outcome).toMatchObject({ code: 1, json: { code: 7 } });
    expect(outcome.json.msg).toContain('must name the device by one of device, hwaddr, kernelpath, pciBusID');
  });

  test.each<[string, JsonObject, string]>([
    [
      'a name that the host does not have',
      { device: 'eth9' },
      'Cannot find interface eth9: the host has no such interface',
    ],
    [
      'a PCI address that the host does not have',
      { device: undefined, pciBusID: '0000:ff:1f.7' },
      'there is no PCI device 0000:ff:1f.7',
    ],
    [
      'a deviceID that is no device',
      { runtimeConfig: { deviceID: '0000:ff:1f.7' } },
      'there is no PCI or auxiliary device 0000:ff:1f.7',
    ],
    ['a PCI address that is none', { device: undefined, pciBusID: 'eth5' }, "Cannot use 'pciBusID'"],
    [
      'a kernel path outside /sys/devices',
      { device: undefined, kernelpath: '/sys/devices/../../etc' },
      "Cannot use 'kernelpath'",
    ],
    [
      'a deviceID that leads out of its directory',
      { runtimeConfig: { deviceID: '../../x' } },
      "Cannot use 'runtimeConfig.deviceID'",
    ],
  ])('%s: the error says so', async (_what, more, text) => {
    const outcome = await add(conf(more));
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(text);
    expect(onHost()).toBeDefined();
  });
});

describe('a device that the host uses is refused', () => {
  test.each<[string, () => void, string]>([
    [
      'it has an address',
      () => node.ip('addr', 'add', '192.0.2.2/24', 'dev', 'eth5'),
      'it has the address 192.0.2.2/24',
    ],
    [
      'it has an IPv6 address',
      () => node.ip('addr', 'add', '2001:db8::2/64', 'dev', 'eth5'),
      'it has the address 2001:db8::2/64',
    ],
    [
      'it carries the default route',
      () => node.ip('route', 'add', 'default', 'dev', 'eth5'),
      "it carries the host's default route",
    ],
    [
      'it is a port of a bridge',
      () => {
        node.ip('link', 'add', 'br0', 'type', 'bridge');
        node.ip('link', 'set', 'eth5', 'master', 'br0');
      },
      'it is a port of a bridge',
    ],
  ])('when %s', async (_what, use, text) => {
    use();
    const outcome = await add(conf());
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(text);
    expect(outcome.json.details).toContain('"force": true');
    expect(onHost()).toBeDefined();
    expect(await node.call('host-device', 'STATUS', conf())).toMatchObject({ code: 1, json: { code: 50 } });
  });

  test.each([
    ['macvlan', ['type', 'macvlan', 'mode', 'bridge']],
    ['macvlan on that macvlan’s like', ['type', 'macvlan', 'mode', 'private']],
  ])('when the host has its address on a %s above it', async (_what, type) => {
    node.ip('link', 'add', 'up0', 'link', 'eth5', ...type);
    node.ip('link', 'set', 'up0', 'up');
    node.ip('addr', 'add', '192.0.2.2/24', 'dev', 'up0');
    node.ip('route', 'add', 'default', 'via', '192.0.2.1');
    const outcome = await add(conf());
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain("up0, which stands on it, carries the host's default route");
    expect(onHost()).toBeDefined();
  });

  test('forced out of a bridge, it is a port of it again afterwards', async () => {
    node.ip('link', 'add', 'br0', 'type', 'bridge');
    node.ip('link', 'set', 'eth5', 'master', 'br0');
    const c = conf({ manifold: { ...node.manifold, force: true } });
    expect(await add(c)).toMatchObject({ code: 0 });
    expect(await del(c)).toMatchObject({ code: 0 });
    expect(node.ip('link', 'show', 'eth5')).toContain('master br0');
  });

  test('forced, it is taken, and its addresses and routes come back with it', async () => {
    node.ip('addr', 'add', '192.0.2.2/24', 'dev', 'eth5');
    node.ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.1', 'dev', 'eth5', 'metric', '77');
    const routes = node.ip('route');
    const c = conf({ manifold: { ...node.manifold, force: true } });
    expect(await add(c)).toMatchObject({ code: 0 });
    expect(node.ip('route')).toBe('');
    expect(await del(c)).toMatchObject({ code: 0 });
    expect(node.ip('route').replaceAll('proto static ', '')).toBe(routes);
  });
});

describe('defects of the reference plugin', () => {
  test('a namespace that is gone is an error at DEL, and its address leaks: ours frees the address', async () => {
    await add(conf({ ipam: { type: 'manifold-ipam', range: '172.30.0.0/30' } }));
    node.removePod('a');
    expect(await del(conf())).toMatchObject({ code: 0 });
    node.addPod('a');
  });

  test('MTU 1400 becomes 1300 and stays: ours puts back MTU, MAC, flags, alias, alternative names, queue length, up', async () => {
    node.ip(
      'link',
      'set',
      'eth5',
      'mtu',
      '1400',
      'alias',
      'rail 5',
      'txqueuelen',
      '500',
      'promisc',
      'on',
      'allmulticast',
      'on',
    );
    node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'enp5s0');
    node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'net1');
    const before = onHost();
    expect(await add(conf())).toMatchObject({ code: 0 });
    node.podIp('a', 'link', 'set', 'net1', 'down');
    node.podIp(
      'a',
      'link',
      'set',
      'net1',
      'mtu',
      '1300',
      'address',
      '02:00:00:00:00:55',
      'alias',
      'pod',
      'promisc',
      'off',
      'allmulticast',
      'off',
      'txqueuelen',
      '9',
    );
    node.podIp('a', 'link', 'property', 'del', 'dev', 'net1', 'altname', 'enp5s0');
    node.podIp('a', 'link', 'property', 'add', 'dev', 'net1', 'altname', 'pods-own');
    expect(await del(conf())).toMatchObject({ code: 0 });
    const altnames = (link: IpLink | undefined) => [...(link?.altnames ?? [])].sort();
    expect({ ...shape(onHost()), altnames: altnames(onHost()) }).toEqual({
      ...shape(before),
      altnames: altnames(before),
    });
  });

  test('a link that has the device’s old index, or its name, but is another: it is left alone', async () => {
    await add(conf());
    const index = String(node.links('a')[0]?.ifindex);
    node.removePod('a'); // and with it the veth end: the device is gone
    node.ip('link', 'add', 'other', 'index', index, 'type', 'veth', 'peer', 'name', 'other-w');
    node.ip('link', 'set', 'other', 'up', 'mtu', '1450');
    const before = node.links().find((link) => link.ifname === 'other');
    expect(await del(conf())).toMatchObject({ code: 0 });
    expect(node.links().find((link) => link.ifname === 'other')).toEqual(before);
    node.addPod('a');
  });

  test('a device that was down comes back down', async () => {
    node.ip('link', 'set', 'eth5', 'down');
    await add(conf());
    await del(conf());
    expect(onHost()?.flags).not.toContain('UP');
  });

  test('a second DEL fails: ours succeeds', async () => {
    await add(conf());
    await del(conf());
    expect(await del(conf())).toMatchObject({ code: 0 });
  });

  test('an interface that the pod renamed cannot be deleted, the pod stays Terminating: ours finds it', async () => {
    await add(conf());
    node.podIp('a', 'link', 'set', 'net1', 'down', 'name', 'mine');
    node.podIp('a', 'link', 'set', 'mine', 'alias', '');
    expect(await del(conf())).toMatchObject({ code: 0 });
    expect(onHost()).toBeDefined();
  });

  test('IPAM fails and the device stays in the pod, a retry fails: ours puts it back and a retry works', async () => {
    const ipam = scriptIpam(node, 'bad-ipam', FAILS);
    const before = onHost();
    const outcome = await add(conf({ ipam: { type: ipam.type } }), { env: { CNI_PATH: ipam.path } });
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain('pool is empty');
    expect(node.links('a')).toEqual([]);
    expect(shape(onHost())).toEqual(shape(before));
    expect(await add(conf())).toMatchObject({ code: 0 });
    await del(conf());
  });

  test('STATUS and GC do nothing: ours tell who has the device, and bring it back', async () => {
    expect(await node.call('host-device', 'STATUS', conf())).toMatchObject({ code: 0, stdout: '' });
    expect(await node.call('host-device', 'STATUS', conf({ device: 'eth9' }))).toMatchObject({
      code: 1,
      json: { code: 50 },
    });
    await add(conf(), { args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=team;K8S_POD_NAME=trainer' });
    const status = await node.call('host-device', 'STATUS', conf());
    expect(status).toMatchObject({ code: 1, json: { code: 50 } });
    expect(status.json.msg).toContain('pod team/trainer has it as net1');
    expect(await node.call('host-device', 'GC', conf({ 'cni.dev/valid-attachments': [] }))).toMatchObject({
      code: 0,
    });
    expect(onHost()).toBeDefined();
  });
});

test('its own name cannot be put back: ADD reports why it failed, and the device stays reserved until it can', async () => {
  const ipam = scriptIpam(
    node,
    'takes-name',
    `cat > /dev/null; ip -n ${node.name} link add eth5 type bridge; exit 1`,
  );
  const outcome = await add(conf({ ipam: { type: ipam.type } }), { env: { CNI_PATH: ipam.path } });
  expect(outcome.code).toBe(1);
  expect(outcome.json.msg).toContain('takes-name');
  node.addPod('b');
  expect((await add(conf(), { pod: 'b' })).code).toBe(1);
  node.ip('link', 'del', 'eth5');
  expect(await del(conf())).toMatchObject({ code: 0 });
  expect(onHost()?.flags).toContain('UP');
});

test('a device that another pod has is refused, and the pod is named', async () => {
  node.addPod('b');
  await add(conf(), { args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=team;K8S_POD_NAME=trainer' });
  const outcome = await add(conf(), { pod: 'b' });
  expect(outcome.code).toBe(1);
  expect(outcome.json.msg).toBe('Cannot take interface eth5: pod team/trainer has it as net1');
  expect(node.links('b')).toEqual([]);
  expect(node.links('a')).toHaveLength(1);
  await del(conf());
});

test('a pod gives the device names that the host has: DEL works, and what the device had comes back', async () => {
  node.addNic('eth6');
  node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'rail5');
  await add(conf());
  for (const name of ['eth6', 'eth5', 'lo2'])
    node.podIp('a', 'link', 'property', 'add', 'dev', 'net1', 'altname', name);
  expect(await del(conf())).toMatchObject({ code: 0 });
  expect(onHost()?.altnames).toEqual(['rail5']);
});

test('an interface of the pod that has the device’s index stays in the pod when the device cannot move', async () => {
  const index = String(onHost()?.ifindex);
  node.podIp('a', 'link', 'add', 'eth0', 'index', index, 'type', 'veth', 'peer', 'name', 'eth0-w');
  // The pod's name for it stands in the way of the move: the kernel says EEXIST.
  node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'eth0');
  expect((await add(conf())).code).toBe(1);
  expect(await del(conf())).toMatchObject({ code: 0 });
  expect(
    node
      .links('a')
      .map((link) => link.ifname)
      .sort(),
  ).toEqual(['eth0', 'eth0-w']);
  expect(onHost()?.altnames).toEqual(['eth0']);
});

test('what the host has taken away meanwhile is not restored, and DEL succeeds', async () => {
  node.addNic('eth6');
  node.ip('link', 'add', 'br0', 'type', 'bridge');
  node.ip('link', 'set', 'eth5', 'master', 'br0');
  node.ip('link', 'property', 'add', 'dev', 'eth5', 'altname', 'rail5');
  const c = conf({ manifold: { ...node.manifold, force: true } });
  expect(await add(c)).toMatchObject({ code: 0 });
  node.ip('link', 'del', 'br0');
  node.ip('link', 'property', 'add', 'dev', 'eth6', 'altname', 'rail5');
  const outcome = await del(c);
  expect(outcome).toMatchObject({ code: 0 });
  expect(outcome.stderr).toContain('not restored: the host has changed');
  expect(onHost()?.flags).toContain('UP');
});

test('DEL brings the device back although the configuration names none any more', async () => {
  await add(conf());
  expect(await del(conf({ device: undefined }))).toMatchObject({ code: 0 });
  expect(onHost()).toBeDefined();
});

test('a late DEL of the old sandbox leaves the device with its new holder', async () => {
  node.addPod('b');
  await add(conf());
  await del(conf());
  await add(conf(), { pod: 'b' });
  expect(await del(conf())).toMatchObject({ code: 0 });
  expect(node.links('b')).toHaveLength(1);
  await del(conf(), { pod: 'b' });
});

test('its name is taken on the host meanwhile: DEL fails and says so, keeps the device reserved, and mends it later', async () => {
  await add(conf());
  node.ip('link', 'add', 'eth5', 'type', 'bridge');
  const outcome = await del(conf());
  expect(outcome.code).toBe(1);
  expect(outcome.json.msg).toContain('its name eth5 is taken on the host');
  expect(node.links('a')).toEqual([]);
  node.ip('link', 'del', 'eth5');
  expect(await del(conf())).toMatchObject({ code: 0 });
  expect(onHost()?.flags).toContain('UP');
});

test('an interface name that is taken in the pod: the device does not move', async () => {
  node.podIp('a', 'link', 'add', 'net1', 'type', 'bridge');
  const outcome = await add(conf());
  expect(outcome.json.msg).toContain('an interface of that name is there already');
  expect(onHost()).toBeDefined();
});
