import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { FAILS, GIVES_NOTHING, gives, scriptIpam } from '../kit/script-ipam.ts';
import { TestNode } from '../kit/test-node.ts';
import { CHECK_VERSIONS, VERSIONS } from '../kit/versions.ts';

let node: TestNode;
beforeEach(() => {
  node = new TestNode();
  node.addNic('eth0');
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
  name: 'rail0',
  type: 'macvlan',
  master: 'eth0',
  ipam: { type: 'manifold-ipam', range: '10.20.0.0/24', gateway: '10.20.0.1' },
  manifold: node.manifold,
  ...more,
});
const add = (c: JsonObject, options = {}) => node.call('macvlan', 'ADD', c, { pod: 'a', ...options });
const del = (c: JsonObject, options = {}) => node.call('macvlan', 'DEL', c, { pod: 'a', ...options });
const check = (c: JsonObject, prevResult: JsonObject) =>
  node.call('macvlan', 'CHECK', { ...c, prevResult }, { pod: 'a' });

describe.each(VERSIONS)('macvlan, CNI %s', (cniVersion) => {
  test('ADD makes the interface that its result describes, DEL takes it and its address away', async () => {
    const c = conf({ cniVersion, mtu: 1400 });
    const added = await add(c);
    expect(added).toMatchObject({ code: 0, json: { cniVersion } });
    const [link, ...others] = node.links('a');
    expect(others).toEqual([]);
    expect(link).toMatchObject({
      ifname: 'net1',
      mtu: 1400,
      linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
      flags: expect.arrayContaining(['UP', 'LOWER_UP']),
    });
    expect(link?.addr_info.filter((a) => a.scope === 'global')).toMatchObject([
      { local: '10.20.0.2', prefixlen: 24 },
    ]);
    if (cniVersion.startsWith('0.1') || cniVersion.startsWith('0.2'))
      expect(added.json).toMatchObject({ ip4: { ip: '10.20.0.2/24', gateway: '10.20.0.1' } });
    else
      expect(added.json).toMatchObject({
        interfaces: [{ name: 'net1', mac: link?.address, sandbox: node.netnsPath('a') }],
        ips: [{ address: '10.20.0.2/24', interface: 0 }],
      });
    expect(await del(c)).toMatchObject({ code: 0, stdout: '' });
    expect(node.links('a')).toEqual([]);
    expect(await del(c)).toMatchObject({ code: 0 });
  });
});

describe.each(CHECK_VERSIONS)('macvlan CHECK, CNI %s', (cniVersion) => {
  const routes = [{ dst: '10.99.0.0/16', gw: '10.20.0.1' }];
  const withRoutes = () =>
    conf({
      cniVersion,
      ipam: { type: 'manifold-ipam', range: '10.20.0.0/24', gateway: '10.20.0.1', routes },
    });

  test('is satisfied with what ADD made', async () => {
    const c = withRoutes();
    const { json } = await add(c);
    expect(await check(c, json)).toMatchObject({ code: 0, stdout: '' });
    await del(c);
  });

  test.each<[string, (pod: (...words: string[]) => string) => void, string]>([
    [
      'the address',
      (pod) => pod('addr', 'del', '10.20.0.2/24', 'dev', 'net1'),
      'net1 lacks the address 10.20.0.2/24',
    ],
    [
      'the route',
      (pod) => pod('route', 'del', '10.99.0.0/16'),
      'net1 lacks the route 10.99.0.0/16 via 10.20.0.1',
    ],
    ['up', (pod) => pod('link', 'set', 'net1', 'down'), 'net1 is down'],
    [
      'the name',
      (pod) => pod('link', 'set', 'net1', 'down', 'name', 'other'),
      'the interface is gone or was renamed',
    ],
    [
      'the MAC',
      (pod) => pod('link', 'set', 'net1', 'address', '02:00:00:00:00:99'),
      'net1 has mac 02:00:00:00:00:99',
    ],
    [
      'the mode',
      (pod) => pod('link', 'set', 'net1', 'type', 'macvlan', 'mode', 'private'),
      'its macvlan mode is private, not bridge',
    ],
    ['the link', (pod) => pod('link', 'del', 'net1'), 'the interface is gone or was renamed'],
  ])('says so when %s is lost', async (_what, spoil, text) => {
    const c = withRoutes();
    const { json } = await add(c);
    spoil((...words) => node.podIp('a', ...words));
    const outcome = await check(c, json);
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(text);
    await del(c);
    expect(node.links('a')).toEqual([]);
  });
});

test('a kernel default MTU is the parent’s, and CNI 1.1 reports it', async () => {
  node.ip('link', 'set', 'eth0', 'mtu', '1450');
  expect((await add(conf())).json).toMatchObject({ interfaces: [{ mtu: 1450 }] });
  await del(conf());
});

test.each(['bridge', 'private', 'vepa', 'passthru'])('mode %s is made', async (mode) => {
  expect(await add(conf({ mode }))).toMatchObject({ code: 0 });
  expect(node.links('a')[0]?.linkinfo?.info_data).toMatchObject({ mode });
  await del(conf({ mode }));
});

test('bcqueuelen is given to the kernel', async () => {
  await add(conf({ bcqueuelen: 2000 }));
  expect(node.links('a')[0]?.linkinfo?.info_data).toMatchObject({ bcqueuelen: 2000 });
  await del(conf());
});

test('linkInContainer stacks a macvlan on an interface of the pod', async () => {
  await add(conf());
  const c = conf({ name: 'inner', master: 'net1', linkInContainer: true });
  expect(await add(c, { ifname: 'net2' })).toMatchObject({ code: 0 });
  expect(
    node
      .links('a')
      .map((link) => link.ifname)
      .sort(),
  ).toEqual(['net1', 'net2']);
  await del(c, { ifname: 'net2' });
  await del(conf());
});

test('without ipam the interface is up and has no address; dns of the configuration is reported', async () => {
  const { ipam: _, ...c } = conf({ dns: { nameservers: ['10.0.0.53'] } });
  expect((await add(c)).json).toMatchObject({
    interfaces: [{ name: 'net1' }],
    dns: { nameservers: ['10.0.0.53'] },
  });
  expect(node.links('a')[0]).toMatchObject({
    flags: expect.arrayContaining(['UP']),
    addr_info: [{ scope: 'link' }],
  });
  await del(c);
});

test('without master the interface of the default route is the parent', async () => {
  node.ip('addr', 'add', '192.0.2.2/24', 'dev', 'eth0');
  node.ip('route', 'add', 'default', 'via', '192.0.2.1');
  const { master: _, ...c } = conf();
  expect(await add(c)).toMatchObject({ code: 0 });
  await del(c);
});

test('the MAC: runtimeConfig before CNI_ARGS before the configuration before one derived from the pod', async () => {
  const mac = async (more: JsonObject, args: string) => {
    const outcome = await add(conf(more), { args });
    expect(outcome.code).toBe(0);
    const address = node.links('a')[0]?.address;
    await del(conf(more), { args });
    return address;
  };
  const pod = 'IgnoreUnknown=1;K8S_POD_UID=u1';
  const [first, second, third] = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03'];
  expect(await mac({ mac: third, runtimeConfig: { mac: first } }, `${pod};MAC=${second}`)).toBe(first);
  expect(await mac({ mac: third }, `${pod};MAC=${second}`)).toBe(second);
  expect(await mac({ mac: third.toUpperCase() }, pod)).toBe(third);
  const derived = await mac({}, pod);
  expect(derived).toMatch(/^.[26ae]/);
  expect(await mac({}, pod)).toBe(derived);
  expect(await mac({}, 'IgnoreUnknown=1;K8S_POD_UID=u2')).not.toBe(derived);
});

test('a second sandbox of a pod starts beside the first, with another MAC', async () => {
  node.addPod('b');
  const args = 'IgnoreUnknown=1;K8S_POD_UID=u1';
  const { ipam: _, ...c } = conf();
  await add(c, { args });
  expect(await add(c, { pod: 'b', args })).toMatchObject({ code: 0 });
  expect(node.links('b')[0]?.address).not.toBe(node.links('a')[0]?.address);
  await del(c, { args });
  await del(c, { pod: 'b', args });
});

test('IPv6: addresses are usable after ADD, with a gateway and a route', async () => {
  const ipam = {
    type: 'manifold-ipam',
    ipRanges: [{ range: '10.20.0.0/24' }, { range: 'fd00:20::/64', gateway: 'fd00:20::1' }],
    routes: [{ dst: 'fd00:99::/48', gw: 'fd00:20::1' }],
  };
  const outcome = await add(conf({ ipam }));
  expect(outcome).toMatchObject({
    code: 0,
    json: { ips: [{ address: '10.20.0.1/24' }, { address: expect.stringMatching(/^fd00:20::/) }] },
  });
  expect(await check(conf({ ipam }), outcome.json)).toMatchObject({ code: 0 });
  expect(node.podIp('a', '-6', 'route')).toContain('fd00:99::/48 via fd00:20::1');
  await del(conf({ ipam }));
});

test('routes of CNI 1.1: mtu, advmss, priority, table and scope reach the kernel', async () => {
  const ipam = scriptIpam(
    node,
    'routes-ipam',
    gives(
      '[{"address":"10.20.0.5/24","gateway":"10.20.0.1"}]',
      '[{"dst":"10.98.0.0/16","mtu":1300,"advmss":1200,"priority":50,"table":100},{"dst":"10.97.0.0/16","gw":"10.20.0.9"}]',
    ),
  );
  const c = conf({ ipam: { type: ipam.type } });
  const outcome = await add(c, { env: { CNI_PATH: ipam.path } });
  expect(outcome).toMatchObject({ code: 0 });
  expect(node.podIp('a', 'route', 'show', 'table', '100')).toMatch(
    /10\.98\.0\.0\/16 via 10\.20\.0\.1 .*metric 50 mtu 1300 advmss 1200/,
  );
  expect(node.podIp('a', 'route')).toContain('10.97.0.0/16 via 10.20.0.9');
  expect(
    await node.call(
      'macvlan',
      'CHECK',
      { ...c, prevResult: outcome.json },
      { pod: 'a', env: { CNI_PATH: ipam.path } },
    ),
  ).toMatchObject({ code: 0 });
  await del(c, { env: { CNI_PATH: ipam.path } });
});

test('a plugin before it in the list: its interfaces and addresses stay in the result', async () => {
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', sandbox: node.netnsPath('a') }],
    ips: [{ address: '10.1.0.2/24', interface: 0 }],
  };
  const { json } = await add(conf({ prevResult }));
  expect(json).toMatchObject({
    interfaces: [{ name: 'eth0' }, { name: 'net1' }],
    ips: [
      { address: '10.1.0.2/24', interface: 0 },
      { address: '10.20.0.2/24', interface: 1 },
    ],
  });
  await del(conf());
});

test('the pod’s neighbours hear of its address', async () => {
  node.addPod('b');
  await add(conf(), { pod: 'b', ifname: 'net1' });
  const before = node.podIp('b', 'neigh', 'show', '10.20.0.3');
  expect(before).toBe('');
  node.podIp('b', 'neigh', 'add', '10.20.0.3', 'lladdr', '02:00:00:00:00:77', 'dev', 'net1', 'nud', 'stale');
  await add(conf());
  expect(node.podIp('b', 'neigh', 'show', '10.20.0.3')).toContain(node.links('a')[0]?.address);
  await del(conf());
  await del(conf(), { pod: 'b' });
});

describe('refused before anything is made', () => {
  test.each<[string, JsonObject, number, string]>([
    ['a parent that is not there', { master: 'eth9' }, 102, 'Cannot find parent interface eth9 on this host'],
    [
      'an MTU above the parent’s',
      { mtu: 9000 },
      7,
      "Cannot use 'mtu' as it must be at most that of the parent eth0, 1500: current value is 9000",
    ],
    ['a mode that the kernel would take but we do not offer', { mode: 'source' }, 7, "Cannot use 'mode'"],
    ['a negative MTU', { mtu: -1 }, 7, "Cannot use 'mtu'"],
    ['a loopback parent', { master: 'lo' }, 7, "Cannot use 'master' as it must be an Ethernet interface"],
    ['a parent without a name', { master: '' }, 7, "Cannot use 'master'"],
    ['a parent with a NUL in its name', { master: 'eth0\u0000x' }, 7, "Cannot use 'master'"],
    ['an ipam that is no object', { ipam: 'manifold-ipam' }, 7, "Cannot use 'ipam' as it must be an object"],
    ['an ipam that is a list', { ipam: [] }, 7, "Cannot use 'ipam' as it must be an object"],
    [
      'an ipam whose type is no string',
      { ipam: { type: 5 } },
      7,
      "Cannot use 'ipam.type' as it must be a string",
    ],
    [
      'an IPv6 address on a link too small for it',
      { mtu: 1000, ipam: { type: 'manifold-ipam', range: 'fd00:20::/64' } },
      7,
      'IPv6 needs an MTU of at least 1280, and it has 1000',
    ],
    ['a multicast MAC', { mac: '01:00:00:00:00:01' }, 7, "Cannot use 'mac'"],
    ['a MAC that is none', { mac: 'aa:bb' }, 7, "Cannot use 'mac'"],
  ])('%s', async (_what, more, code, msg) => {
    const outcome = await add(conf(more));
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(msg);
    if (code !== 102) expect(outcome.json.code).toBe(code);
    expect(node.links('a')).toEqual([]);
  });

  test('a parent that is down', async () => {
    node.ip('link', 'set', 'eth0', 'down');
    const outcome = await add(conf());
    expect(outcome.json.msg).toContain('its parent eth0 is down');
    expect(outcome.json.details).toContain('ip link set eth0 up');
    expect(node.links('a')).toEqual([]);
  });

  test('an interface name that is taken, whoever took it', async () => {
    node.podIp('a', 'link', 'add', 'net1', 'type', 'bridge');
    const outcome = await add(conf());
    expect(outcome.json.msg).toContain('an interface of that name is there already (bridge');
    expect(await del(conf())).toMatchObject({ code: 0 });
    expect(node.links('a').map((link) => link.ifname)).toEqual(['net1']);
  });

  test('a MAC that another macvlan has', async () => {
    node.addPod('b');
    await add(conf({ mac: '02:00:00:00:00:01' }));
    const outcome = await add(conf({ mac: '02:00:00:00:00:01' }), { pod: 'b' });
    expect(outcome.json.msg).toContain(
      'Cannot use MAC 02:00:00:00:00:01 for net1: another macvlan on eth0 has it',
    );
    expect(node.links('b')).toEqual([]);
    await del(conf());
  });
});

describe('defects of the reference plugin', () => {
  test('STATUS answers 0 with master "nope": ours names the interfaces that are there', async () => {
    const outcome = await node.call('macvlan', 'STATUS', conf({ master: 'nope' }));
    expect(outcome).toMatchObject({ code: 1, json: { code: 50 } });
    expect(outcome.json.msg).toContain('Cannot find parent interface nope');
    expect(outcome.json.details).toContain('eth0');
    expect(await node.call('macvlan', 'STATUS', conf())).toMatchObject({ code: 0, stdout: '' });
    node.ip('link', 'set', 'eth0', 'down');
    const down = await node.call('macvlan', 'STATUS', conf());
    expect(down).toMatchObject({ code: 1, json: { code: 50 } });
    expect(down.json.msg).toContain('its parent eth0 is down');
  });

  test('GC answers 0 and does nothing: ours frees interface and address of what is not valid', async () => {
    node.addPod('b');
    await add(conf());
    await add(conf(), { pod: 'b' });
    const valid = [{ containerID: 'c-b', ifname: 'net1' }];
    expect(await node.call('macvlan', 'GC', conf({ 'cni.dev/valid-attachments': valid }))).toMatchObject({
      code: 0,
    });
    expect(node.links('a')).toEqual([]);
    expect(node.links('b')).toHaveLength(1);
    expect(await node.call('macvlan', 'GC', conf({ 'cni.dev/valid-attachments': [] }))).toMatchObject({
      code: 0,
    });
    expect(node.links('b')).toEqual([]);
  });

  test.each([
    ['IPAM fails', FAILS, 'pool is empty'],
    ['IPAM gives no address', GIVES_NOTHING, 'gave no address'],
  ])(
    'the link stays in the pod when %s, and a retry fails: ours leaves nothing and a retry works',
    async (_what, script, text) => {
      const ipam = scriptIpam(node, 'bad-ipam', script);
      const outcome = await add(conf({ ipam: { type: ipam.type } }), { env: { CNI_PATH: ipam.path } });
      expect(outcome.code).toBe(1);
      expect(outcome.json.msg).toContain(text);
      expect(node.links('a')).toEqual([]);
      expect(ipam.calls()).toEqual(['ADD', 'DEL']);
      expect(await add(conf())).toMatchObject({ code: 0 });
      await del(conf());
    },
  );
});

test('an address that cannot be set: IPAM is asked to release it, whatever the kernel’s error', async () => {
  const vanishes = `cat > /dev/null; ip -n ${node.name}-a link del net1; printf '%s' '{"cniVersion":"1.1.0","ips":[{"address":"10.20.0.5/24"}]}'`;
  const ipam = scriptIpam(node, 'vanishing-ipam', vanishes);
  const outcome = await add(conf({ ipam: { type: ipam.type } }), { env: { CNI_PATH: ipam.path } });
  expect(outcome.code).toBe(1);
  expect(ipam.calls()).toEqual(['ADD', 'DEL']);
});

test('a network that wants a name which another network has: its ADD and its DEL do the other no harm', async () => {
  const added = await add(conf());
  const other = conf({ name: 'other', ipam: { type: 'manifold-ipam', range: '10.21.0.0/24' } });
  expect((await add(other)).code).toBe(1);
  expect(await del(other)).toMatchObject({ code: 0 });
  expect(await check(conf(), added.json)).toMatchObject({ code: 0 });
  await del(conf());
});

test('an IPAM plugin that is not there: ADD says where it was looked for and leaves nothing, DEL succeeds', async () => {
  const c = conf({ ipam: { type: 'nowhere-ipam' } });
  const outcome = await add(c);
  expect(outcome.code).toBe(1);
  expect(outcome.json.msg).toContain('nowhere-ipam');
  expect(node.links('a')).toEqual([]);
  expectClean(node);
  expect(await del(c)).toMatchObject({ code: 0 });
});

test.each(['macvlan', 'host-device', 'manifold', '../x', 'no such'])(
  'ipam.type "%s" is refused, nothing is left, and DEL succeeds',
  async (type) => {
    const c = conf({ ipam: { type } });
    expect((await add(c)).code).toBe(1);
    expect(node.links('a')).toEqual([]);
    expectClean(node);
    expect(await del(c)).toMatchObject({ code: 0 });
  },
);

describe('DEL', () => {
  test('finds an interface that the pod renamed', async () => {
    await add(conf());
    node.podIp('a', 'link', 'set', 'net1', 'down', 'name', 'mine');
    expect(await del(conf())).toMatchObject({ code: 0 });
    expect(node.links('a')).toEqual([]);
  });

  test('releases the address when the namespace is gone', async () => {
    await add(conf());
    node.removePod('a');
    expect(
      await del(conf(), { netns: node.netnsPath('a'), pod: undefined, containerId: 'c-a' }),
    ).toMatchObject({ code: 0 });
    node.addPod('a');
  });

  test('releases the address when the runtime gives no namespace', async () => {
    await add(conf());
    node.removePod('a');
    expect(await node.call('macvlan', 'DEL', conf(), { containerId: 'c-a' })).toMatchObject({ code: 0 });
    node.addPod('a');
  });

  test('succeeds when the parent is gone', async () => {
    await add(conf());
    node.ip('link', 'del', 'eth0');
    expect(await del(conf())).toMatchObject({ code: 0 });
  });

  test('whose own interface is gone leaves one of the same name, made since by another sandbox, alone', async () => {
    await add(conf(), { containerId: 'c-old' });
    node.podIp('a', 'link', 'del', 'net1');
    await add(conf(), { containerId: 'c-new' });
    expect(await del(conf(), { containerId: 'c-old' })).toMatchObject({ code: 0 });
    expect(node.links('a')).toHaveLength(1);
    await del(conf(), { containerId: 'c-new' });
  });

  test('of an unknown sandbox leaves the interface of another in the same namespace alone', async () => {
    const added = await add(conf(), { containerId: 'c-new' });
    expect(await del(conf(), { containerId: 'c-old' })).toMatchObject({ code: 0 });
    const c = { ...conf(), prevResult: added.json };
    expect(await node.call('macvlan', 'CHECK', c, { pod: 'a', containerId: 'c-new' })).toMatchObject({
      code: 0,
    });
    await del(conf(), { containerId: 'c-new' });
  });

  test('works although the configuration has become wrong', async () => {
    await add(conf());
    const wrong = conf({ mode: 'nonsense', mtu: 'big', ipam: { type: 'manifold-ipam', range: 'nonsense' } });
    expect(await del(wrong)).toMatchObject({ code: 0 });
    expect(node.links('a')).toEqual([]);
    expect(await del(wrong)).toMatchObject({ code: 0 });
  });

  test('of an older sandbox leaves a new namespace of the same path alone', async () => {
    await add(conf());
    node.removePod('a');
    node.addPod('a');
    await add(conf(), { containerId: 'c-new' });
    expect(await del(conf())).toMatchObject({ code: 0 });
    expect(node.links('a')).toHaveLength(1);
    await del(conf(), { containerId: 'c-new' });
  });
});
