// RDMA devices that move, on recorded messages: the interface and the namespaces are real, sysfs is a tree made for the
// test, and NETLINK_RDMA is answered by the kernel's rules.
import { existsSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { createRdmaPlugin } from '../../cni/rdma/plugin.ts';
import { createSriov } from '../../cni/sriov/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createProgramDeps, type ProgramDeps } from '../../meta/bin/program-deps.ts';
import type { JsonObject, Plugin, Verb } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { createSysfs } from '../../pkg/pci/sysfs.ts';
import { callInside } from '../kit/call-inside.ts';
import { makeHostNic, makeNetns, type TestNetns, type TestNic } from '../kit/netns.ts';
import { RdmaKernel } from '../kit/rdma-kernel.ts';
import { SysfsTree } from '../kit/sysfs-tree.ts';

const VF = '0000:3b:10.4';
const RDMA_SET = '1402';

let tree: SysfsTree;
let nic: TestNic;
let pod: TestNetns;
let rdma: RdmaKernel;
let deps: ProgramDeps;
let plugins: Map<string, Plugin>;
let log: string;

beforeEach(() => {
  tree = new SysfsTree();
  nic = makeHostNic();
  pod = makeNetns();
  rdma = new RdmaKernel();
  deps = { ...createProgramDeps(silentLogger), sysfs: createSysfs(tree.root), rdma: rdma.open };
  const devices = [createSriov(deps), createHostDevice(deps), createMacvlan(deps)];
  const made = [...devices, createRdmaPlugin(deps), createIpam(deps)];
  plugins = new Map(made.map((plugin) => [plugin.name, plugin]));
  log = '';
  tree.pci(VF, { driver: 'mlx5_core', netdevs: { [nic.name]: {} }, rdmaDevices: ['mlx5_4'] });
  rdma.devices.push({ index: 7, name: 'mlx5_0', place: home() }, { index: 9, name: 'mlx5_4', place: home() });
});
afterEach(() => {
  // A test may have removed the pod, and with it the end of the NIC that is in it.
  if (existsSync(pod.path)) {
    nic[Symbol.dispose]();
    pod[Symbol.dispose]();
  } else nic.wire[Symbol.dispose]();
  tree[Symbol.dispose]();
});

const home = () => deps.kernel.host().id;
const idOf = (netns: TestNetns): string => {
  const opened = deps.kernel.open(netns.path);
  opened.close();
  return opened.id;
};
/** Where each device is. */
const places = () => rdma.devices.map(({ name, place }) => `${name} ${place === home() ? 'host' : place}`);
const AT_HOME = ['mlx5_0 host', 'mlx5_4 host'];

const conf = (more: JsonObject = {}, ours: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'fabric',
  type: 'sriov',
  deviceID: VF,
  ipam: { type: 'manifold-ipam', range: '172.31.0.0/24' },
  manifold: { stateDir: tree.path('state'), runDir: tree.path('run'), ...ours },
  ...more,
});

const call = (verb: Verb, config: JsonObject, netns = pod.path) =>
  callInside(plugins, config, { CNI_COMMAND: verb, CNI_CONTAINERID: pod.name, CNI_NETNS: netns }, (text) => {
    log += text;
  });

const ok = async (verb: Verb, config: JsonObject, netns?: string) => {
  const { exitCode, output, text } = await call(verb, config, netns);
  if (exitCode !== 0) throw new Error(text);
  return output;
};
const refused = async (verb: Verb, config: JsonObject) => {
  const { exitCode, text } = await call(verb, config);
  expect(exitCode).toBe(1);
  return text;
};

describe.each<[string, JsonObject]>([
  ['sriov', {}],
  ['host-device', { type: 'host-device', pciBusID: VF }],
])('%s, in exclusive mode', (_, keys) => {
  test('the RDMA device goes with its interface, and comes back', async () => {
    const result = await ok('ADD', conf(keys));
    expect(places()).toEqual(['mlx5_0 host', `mlx5_4 ${idOf(pod)}`]);
    const [move, ...others] = rdma.requests.filter((request) => request.startsWith(RDMA_SET));
    // DEV_INDEX 9, NET_NS_FD a descriptor of this process.
    expect(move).toMatch(/^1402 080001000900000008004400..000000$/);
    expect(others).toEqual([]);
    await ok('CHECK', { ...conf(keys), prevResult: result });
    await ok('DEL', conf(keys));
    expect(places()).toEqual(AT_HOME);
    await ok('DEL', conf(keys));
  });

  test('CHECK misses it where it is not', async () => {
    const prevResult = await ok('ADD', conf(keys));
    for (const device of rdma.devices) device.place = home();
    expect(await refused('CHECK', { ...conf(keys), prevResult })).toContain(
      'its RDMA device mlx5_4 is not in the pod',
    );
    await ok('DEL', conf(keys));
  });

  test('it is found under another name, and gets its own', async () => {
    await ok('ADD', conf(keys));
    for (const device of rdma.devices) if (device.index === 9) device.name = 'renamed';
    await ok('DEL', conf(keys));
    expect(places()).toEqual(AT_HOME);
  });

  test('where its name is taken meanwhile, DEL says so until it is free', async () => {
    await ok('ADD', conf(keys));
    for (const device of rdma.devices) device.name = device.index === 9 ? 'mlx5_9' : 'mlx5_4';
    expect(await refused('DEL', conf(keys))).toContain('the name mlx5_4 of its RDMA device is taken');
    for (const device of rdma.devices) if (device.index === 7) device.name = 'mlx5_0';
    await ok('DEL', conf(keys));
    expect(places()).toEqual(AT_HOME);
  });

  test('it is fetched from a namespace that the pod has moved it to', async () => {
    using other = makeNetns();
    await ok('ADD', conf(keys));
    for (const device of rdma.devices) if (device.index === 9) device.place = idOf(other);
    await ok('DEL', conf(keys));
    expect(places()).toEqual(AT_HOME);
  });

  test('the namespace is gone: DEL waits until the kernel has given it back', async () => {
    // A veth end dies with its namespace: that of hardware comes back (test/vm).
    await ok('ADD', conf(keys));
    const gone = idOf(pod);
    pod[Symbol.dispose]();
    let requests = 0;
    rdma.before = () => {
      requests += 1;
      if (requests === 20) rdma.namespaceGone(gone, home());
    };
    for (const device of rdma.devices) if (device.index === 9) device.name = 'net-rdma';
    await call('DEL', conf(keys), '');
    expect(places()).toEqual(AT_HOME);
  });

  test('IPAM fails: it is back', async () => {
    const broken = { ...keys, ipam: { type: 'manifold-ipam', range: '172.31.0.0/33' } };
    await refused('ADD', conf(broken));
    expect(places()).toEqual(AT_HOME);
  });

  test('a driver that keeps its device: it stays and the log says why, unless the pod must have it', async () => {
    const fixed = { index: 9, name: 'mlx5_4', place: home(), fixed: true };
    rdma.devices.splice(1, 1, fixed);
    await ok('ADD', conf(keys));
    expect(log).toContain('RDMA device stays on the host');
    await ok('DEL', conf(keys));
    const before = deps.kernel.host().link({ name: nic.name });
    const text = await refused('ADD', conf(keys, { rdma: 'require' }));
    expect(text).toContain('Cannot move RDMA device 9 from the host to ');
    expect(deps.kernel.host().link({ name: nic.name })).toEqual({ ...before, index: expect.any(Number) });
    expect(places()).toEqual(AT_HOME);
  });

  test('"off": it stays', async () => {
    await ok('ADD', conf(keys, { rdma: 'off' }));
    expect(places()).toEqual(AT_HOME);
    expect(rdma.requests).toEqual([]);
    await ok('DEL', conf(keys, { rdma: 'off' }));
  });

  test('it is elsewhere already: refused where the pod must have it', async () => {
    for (const device of rdma.devices) if (device.index === 9) device.place = 'elsewhere';
    expect(await refused('ADD', conf(keys, { rdma: 'exclusive' }))).toContain('mlx5_4 of');
    await ok('ADD', conf(keys));
    await ok('DEL', conf(keys));
  });
});

describe('in shared mode', () => {
  test('nothing moves, and that is enough for "require", not for "exclusive"', async () => {
    rdma.mode = 'shared';
    for (const wish of ['auto', 'require']) {
      await ok('ADD', conf({}, { rdma: wish }));
      expect(places()).toEqual(AT_HOME);
      await ok('DEL', conf({}, { rdma: wish }));
    }
    for (const keys of [{}, { type: 'host-device', pciBusID: VF }]) {
      const text = await refused('STATUS', conf(keys, { rdma: 'exclusive' }));
      expect(text).toContain('shares its RDMA devices');
      await ok('STATUS', conf(keys, { rdma: 'require' }));
    }
    const text = await refused('ADD', conf({}, { rdma: 'exclusive' }));
    expect(text).toContain('the system shares its RDMA devices among all namespaces');
    expect(text).toContain('netns_mode=0');
    expect(rdma.requests.filter((request) => request.startsWith(RDMA_SET))).toEqual([]);
  });
});

test('a device without RDMA is refused only where RDMA is required; the kernel is not asked', async () => {
  rmSync(tree.path('devices/pci0000:3a', VF, 'infiniband'), { recursive: true });
  const lone = (wish: string) => conf({}, { rdma: wish });
  expect(await refused('ADD', lone('require'))).toContain(`${VF} has no RDMA device`);
  await ok('ADD', lone('auto'));
  await ok('DEL', lone('auto'));
  expect(rdma.requests).toEqual([]);
});

describe('macvlan', () => {
  const macvlan = (wish: string) => conf({ type: 'macvlan', master: nic.name }, { rdma: wish });
  const over = (index: number) =>
    rdma.devices.splice(1, 1, { index: 9, name: 'mlx5_4', place: home(), netdev: index });

  test('that must have RDMA has it over a parent with a device, in shared mode', async () => {
    rdma.mode = 'shared';
    expect(await refused('ADD', macvlan('require'))).toContain(`its parent ${nic.name} has no RDMA device`);
    expect(await refused('STATUS', macvlan('require'))).toContain('has no RDMA device');
    over(deps.kernel.host().link({ name: nic.name })?.index ?? 0);
    await ok('STATUS', macvlan('require'));
    await ok('ADD', macvlan('require'));
    await ok('DEL', macvlan('require'));
  });

  test('cannot have it in exclusive mode, and is told what can', async () => {
    over(deps.kernel.host().link({ name: nic.name })?.index ?? 0);
    for (const verb of ['ADD', 'STATUS'] as const) {
      const text = await refused(verb, macvlan('require'));
      expect(text).toContain(`RDMA device mlx5_4 of its parent ${nic.name} is the host's alone`);
      expect(text).toContain('use sriov or host-device');
    }
    await ok('ADD', macvlan('auto'));
    await ok('DEL', macvlan('auto'));
    expect(places()).toEqual(AT_HOME);
  });
});

describe('rdma, chained', () => {
  /** Behind an interface plugin that leaves RDMA alone, as that of another project. */
  const foreign = () => conf({}, { rdma: 'off' });
  const chained = (more: JsonObject = {}) => conf({ type: 'rdma', ipam: undefined, ...more });

  test('moves the RDMA device of the interface, reports what it was given, and brings it back', async () => {
    const prevResult = await ok('ADD', foreign());
    expect(await ok('ADD', chained({ prevResult }))).toEqual(prevResult);
    expect(places()).toEqual(['mlx5_0 host', `mlx5_4 ${idOf(pod)}`]);
    await ok('CHECK', chained({ prevResult }));
    await ok('DEL', chained());
    expect(places()).toEqual(AT_HOME);
    expect(await refused('CHECK', chained({ prevResult }))).toContain('no record of its RDMA device');
    await ok('DEL', chained());
    await ok('DEL', foreign());
  });

  test('finds the device by the result of the interface plugin, where no runtime names it', async () => {
    const prevResult = await ok('ADD', foreign());
    await ok('ADD', chained({ prevResult, deviceID: undefined }));
    expect(places()).toContain(`mlx5_4 ${idOf(pod)}`);
    await ok('DEL', foreign());
    await ok('DEL', chained());
    expect(places()).toEqual(AT_HOME);
  });

  test('has nothing to do behind a plugin of ours', async () => {
    const prevResult = await ok('ADD', conf());
    const asked = rdma.requests.length;
    expect(await ok('ADD', chained({ prevResult }))).toEqual(prevResult);
    await ok('CHECK', chained({ prevResult }));
    await ok('DEL', chained());
    expect(rdma.requests).toHaveLength(asked);
    expect(places()).toContain(`mlx5_4 ${idOf(pod)}`);
    await ok('DEL', conf());
    expect(places()).toEqual(AT_HOME);
  });

  test('starts afresh after an ADD that died, and refuses a second one', async () => {
    const prevResult = await ok('ADD', foreign());
    await ok('ADD', chained({ prevResult }));
    expect(await refused('ADD', chained({ prevResult }))).toContain('has it already');
    const { interfaces } = deps.openStore({ stateDir: tree.path('state'), runDir: tree.path('run') });
    const record = interfaces.all().find(({ plugin }) => plugin === 'rdma');
    if (record === undefined) throw new Error('no record');
    const writer = { ...record.writer, pid: 0x7ffffff0 };
    interfaces.put({ ...record, state: 'adding', writer });
    await ok('ADD', chained({ prevResult }));
    await ok('GC', chained({ 'cni.dev/valid-attachments': [] }));
    expect(places()).toEqual(AT_HOME);
    await ok('DEL', foreign());
    expect(interfaces.all()).toEqual([]);
  });

  test('is refused in shared mode, without an interface before it, and without a device', async () => {
    const prevResult = await ok('ADD', foreign());
    await ok('STATUS', chained());
    rdma.mode = 'shared';
    expect(await refused('ADD', chained({ prevResult }))).toContain('shares its RDMA devices');
    expect(await refused('STATUS', chained())).toContain('shares them among all namespaces');
    rdma.mode = 'exclusive';
    expect(await refused('ADD', chained())).toContain('no interface in prevResult');
    const unknown = { prevResult, deviceID: '0000:ff:00.0' };
    expect(await refused('ADD', chained(unknown))).toContain('no PCI or auxiliary device 0000:ff:00.0');
    rdma.devices.splice(1, 1, { index: 9, name: 'mlx5_4', place: home(), fixed: true });
    expect(await refused('ADD', chained({ prevResult }))).toContain('EOPNOTSUPP');
    await ok('DEL', chained());
    await ok('DEL', foreign());
    expect(places()).toEqual(AT_HOME);
  });
});
