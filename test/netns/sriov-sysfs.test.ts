// Virtual functions as sysfs shows them, on a tree made for the test; what a physical function does is tested in test/vm.
// The interface behind them is a veth end, which has no physical function: the case of a virtual machine.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createSriov } from '../../cni/sriov/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createProgramDeps } from '../../meta/bin/program-deps.ts';
import type { JsonObject, Plugin, Verb } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { createSysfs } from '../../pkg/pci/sysfs.ts';
import { callInside } from '../kit/call-inside.ts';
import { makeHostNic, makeNetns, type TestNetns, type TestNic } from '../kit/netns.ts';
import { SysfsTree } from '../kit/sysfs-tree.ts';

const VF = '0000:3b:10.4';
const PF = '0000:3b:00.0';
const MAC = '02:00:5e:00:53:01';

let tree: SysfsTree;
let nic: TestNic;
let pod: TestNetns;
let other: TestNetns;
let plugins: Map<string, Plugin>;
let log: string;

beforeEach(() => {
  tree = new SysfsTree();
  nic = makeHostNic();
  pod = makeNetns();
  other = makeNetns();
  const deps = { ...createProgramDeps(silentLogger), sysfs: createSysfs(tree.root) };
  const made = [createSriov(deps), createHostDevice(deps), createIpam(deps)];
  plugins = new Map(made.map((plugin) => [plugin.name, plugin]));
  log = '';
});
afterEach(() => {
  for (const made of [nic, pod, other, tree]) made[Symbol.dispose]();
});

/** A virtual function in a virtual machine: no physical one is seen. */
const loneVf = () => tree.pci(VF, { device: '10ca', driver: 'igbvf', netdevs: { [nic.name]: {} } });

const conf = (more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'fabric',
  type: 'sriov',
  deviceID: VF,
  ipam: { type: 'manifold-ipam', range: '172.31.0.0/24' },
  manifold: { stateDir: tree.path('state'), runDir: tree.path('run') },
  ...more,
});

const call = async (verb: Verb, config: JsonObject, where: TestNetns = pod, containerId = where.name) => {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: where.path,
    CNI_ARGS: `K8S_POD_NAMESPACE=ns;K8S_POD_NAME=${where === pod ? 'first' : 'second'}`,
  };
  const { exitCode, output } = await callInside(plugins, config, env, (text) => {
    log += text;
  });
  return { exitCode, output };
};

const names = (netns: TestNetns) => netns.ip('link').map((link) => (link as { ifname: string }).ifname);
const hostNic = () => {
  const deps = createProgramDeps(silentLogger);
  return deps.kernel.host().link({ name: nic.name });
};
const msg = ({ output }: { output: JsonObject }) => `${output.msg}\n${output.details}`;

describe('in a virtual machine, where no physical function is seen', () => {
  test('a virtual function is moved in with its MAC and MTU, checked, and comes back as it was', async () => {
    loneVf();
    const before = hostNic();
    const c = conf({
      mac: MAC,
      mtu: 1300,
      vlan: 0,
      vlanQoS: 0,
      spoofchk: 'on',
      trust: 'off',
      link_state: 'auto',
    });
    const added = await call('ADD', c);
    expect(added).toMatchObject({
      exitCode: 0,
      output: { interfaces: [{ name: 'net1', mac: MAC, mtu: 1300, sandbox: pod.path, pciID: VF }] },
    });
    expect(names(pod)).toEqual(['lo', 'net1']);
    expect(hostNic()).toBeUndefined();
    expect(await call('CHECK', { ...c, prevResult: added.output })).toMatchObject({ exitCode: 0 });
    expect(await call('DEL', c)).toMatchObject({ exitCode: 0 });
    expect(hostNic()).toEqual({ ...before, index: expect.any(Number) });
    expect(await call('DEL', c)).toMatchObject({ exitCode: 0 });
  });

  test.each<[JsonObject, string]>([
    [{ vlan: 100 }, "'vlan'"],
    [{ max_tx_rate: 100, min_tx_rate: 10 }, "'min_tx_rate', 'max_tx_rate'"],
    [{ spoofchk: 'off', trust: 'on', link_state: 'enable' }, "'spoofchk', 'trust', 'link_state'"],
  ])(
    'what only a physical function can set is refused whole, or left to the hypervisor: %j',
    async (keys, named) => {
      loneVf();
      const before = hostNic();
      const refused = await call('ADD', conf({ mac: MAC, ...keys }));
      expect(refused).toMatchObject({ exitCode: 1, output: { code: 2 } });
      expect(msg(refused)).toContain(`Cannot use ${named} for ${VF}`);
      expect(msg(refused)).toContain('hypervisorConfigures');
      expect(hostNic()).toEqual(before);
      const manifold = { stateDir: tree.path('state'), runDir: tree.path('run'), hypervisorConfigures: true };
      const c = conf({ ...keys, manifold });
      expect(await call('ADD', c)).toMatchObject({ exitCode: 0 });
      expect(log).toContain('left to the hypervisor');
      expect(await call('DEL', c)).toMatchObject({ exitCode: 0 });
    },
  );
});

describe.each(['vfio-pci', 'uio_pci_generic', 'igb_uio'])('with the user-space driver %s', (driver) => {
  test('nothing is moved; addresses, PCI address and a device-information file tell of it', async () => {
    tree.pci(VF, { driver, rdmaDevices: ['mlx5_4'] });
    const file = `/var/run/k8s.cni.cncf.io/devinfo/cni/${pod.name}`;
    const c = conf({ deviceID: 'unused', runtimeConfig: { deviceID: VF, CNIDeviceInfoFile: file } });
    expect(await call('ADD', c)).toEqual({
      exitCode: 0,
      output: {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'net1', sandbox: pod.path, pciID: VF }],
        ips: [{ address: '172.31.0.1/24', interface: 0 }],
      },
    });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': VF, 'rdma-device': 'mlx5_4' },
    });
    expect(names(pod)).toEqual(['lo']);
    const second = await call('ADD', conf({ deviceID: VF }), other);
    expect(second).toMatchObject({ exitCode: 1, output: { code: 103 } });
    expect(msg(second)).toContain('pod ns/first has it as net1');
    expect(await call('DEL', c)).toMatchObject({ exitCode: 0 });
    expect(existsSync(file)).toBe(false);
  });

  test('a device-information file that a device plugin has filled in stays as it is', async () => {
    tree.pci(VF, { driver });
    const file = `/var/run/k8s.cni.cncf.io/devinfo/cni/${pod.name}`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'of a device plugin');
    const c = conf({ runtimeConfig: { CNIDeviceInfoFile: file } });
    expect(await call('ADD', c)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(file, 'utf8')).toBe('of a device plugin');
    expect(await call('DEL', c)).toMatchObject({ exitCode: 0 });
    expect(existsSync(file)).toBe(false);
  });

  test('an MTU is refused: there is no interface that could have it', async () => {
    tree.pci(VF, { driver });
    const refused = await call('ADD', conf({ mtu: 9000 }));
    expect(refused).toMatchObject({ exitCode: 1, output: { code: 2 } });
    expect(msg(refused)).toContain("Cannot use 'mtu'");
  });
});

describe('one virtual function serves one pod', () => {
  test('the second is refused and told who has it, by sriov and by host-device', async () => {
    loneVf();
    expect(await call('ADD', conf())).toMatchObject({ exitCode: 0 });
    const refused = await call('ADD', conf(), other);
    expect(refused).toMatchObject({ exitCode: 1, output: { code: 103 } });
    expect(msg(refused)).toContain(`Cannot take virtual function ${VF}: pod ns/first has it as net1`);
    expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
  });

  test('the same container is told that it has it', async () => {
    loneVf();
    expect(await call('ADD', conf())).toMatchObject({ exitCode: 0 });
    expect(await call('ADD', conf())).toMatchObject({ exitCode: 1, output: { code: 102 } });
    expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
  });

  test('a late DEL of the old holder touches nothing of the new one', async () => {
    loneVf();
    expect(await call('ADD', conf())).toMatchObject({ exitCode: 0 });
    expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
    expect(await call('ADD', conf(), other)).toMatchObject({ exitCode: 0 });
    expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
    expect(names(other)).toEqual(['lo', 'net1']);
    expect(await call('DEL', conf(), other)).toMatchObject({ exitCode: 0 });
  });
});

describe('is refused, with words that say why:', () => {
  test.each<[string, () => void, string, string]>([
    [
      'a physical function',
      () => void tree.pci(VF, { driver: 'igb', totalVfs: 7 }),
      'it is a physical function',
      'host-device',
    ],
    [
      'an auxiliary device',
      () => void tree.auxiliary(VF, tree.pci(PF)),
      'it is an auxiliary device',
      'host-device',
    ],
    [
      'a device that is not there',
      () => {
        tree.pci(PF, { driver: 'igb', totalVfs: 7 });
        tree.pci('0000:3b:10.0', { driver: 'igbvf', virtualOf: [PF, 0] });
      },
      'there is no such PCI device',
      `Virtual functions of this node: ${PF}: 0000:3b:10.0`,
    ],
    ['a function without driver', () => void tree.pci(VF), 'it is bound to no driver', 'vfio-pci'],
    [
      'a function whose driver has made no interface',
      () => void tree.pci(VF, { driver: 'igbvf' }),
      'its driver igbvf has made none',
      'bind its driver again',
    ],
    [
      'a physical function that has no interface',
      () => {
        tree.pci(PF, { driver: 'igb', totalVfs: 7 });
        tree.pci(VF, { driver: 'vfio-pci', virtualOf: [PF, 2] });
      },
      `Cannot set up a virtual function of ${PF}`,
      'Bind its network driver',
    ],
    [
      'a physical function that does not know the number',
      () => {
        tree.pci(PF, { driver: 'igb', totalVfs: 7, netdevs: { [nic.name]: {} } });
        tree.pci(VF, { driver: 'vfio-pci', virtualOf: [PF, 2] });
      },
      'Cannot find virtual function 2',
      'sriov_numvfs',
    ],
  ])('%s', async (_, make, why, hint) => {
    make();
    const refused = await call('ADD', conf());
    expect(refused.exitCode).toBe(1);
    expect(msg(refused)).toContain(why);
    expect(msg(refused)).toContain(hint);
    expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
  });

  test('no device at all', async () => {
    const refused = await call('ADD', conf({ deviceID: undefined }));
    expect(refused).toMatchObject({ exitCode: 1, output: { code: 7 } });
    expect(msg(refused)).toContain('k8s.v1.cni.cncf.io/resourceName');
  });

  test('a GUID for what is not InfiniBand', async () => {
    loneVf();
    const refused = await call('ADD', conf({ runtimeConfig: { infinibandGUID: '00:11:22:33:44:55:66:77' } }));
    expect(refused).toMatchObject({ exitCode: 1, output: { code: 2 } });
  });
});

test('a virtual function that has vanished is an error of DEL that says so, until it is there again', async () => {
  tree.pci(VF, { driver: 'vfio-pci' });
  expect(await call('ADD', conf())).toMatchObject({ exitCode: 0 });
  rmSync(join(tree.root, 'bus/pci/devices', VF));
  const failed = await call('DEL', conf());
  expect(failed.exitCode).toBe(1);
  expect(msg(failed)).toContain(`PCI device ${VF} is gone`);
  tree.link(join(tree.root, 'bus/pci/devices', VF), tree.path('devices/pci0000:3a', VF));
  expect(await call('ADD', conf(), other)).toMatchObject({ exitCode: 1, output: { code: 103 } });
  expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
  expect(await call('ADD', conf(), other)).toMatchObject({ exitCode: 0 });
  expect(await call('DEL', conf(), other)).toMatchObject({ exitCode: 0 });
});

describe('STATUS', () => {
  test('asks only the IPAM plugin when a device plugin will name the device', async () => {
    expect(await call('STATUS', conf({ deviceID: undefined }))).toMatchObject({ exitCode: 0 });
  });
  test('fails while the device is missing, or a pod has it', async () => {
    expect(await call('STATUS', conf())).toMatchObject({ exitCode: 1, output: { code: 50 } });
    loneVf();
    expect(await call('STATUS', conf())).toMatchObject({ exitCode: 0 });
    await call('ADD', conf());
    expect(await call('STATUS', conf())).toMatchObject({ exitCode: 1, output: { code: 50 } });
    await call('DEL', conf());
  });
});

test('GC brings back what the runtime no longer names', async () => {
  loneVf();
  await call('ADD', conf());
  expect(await call('GC', { ...conf(), 'cni.dev/valid-attachments': [] })).toMatchObject({ exitCode: 0 });
  expect(hostNic()).toBeDefined();
  expect(names(pod)).toEqual(['lo']);
});

test('IPAM fails: MAC, MTU and place are as before, and a retry works', async () => {
  loneVf();
  const before = hostNic();
  const broken = conf({ mac: MAC, mtu: 1300, ipam: { type: 'manifold-ipam', range: '172.31.0.0/33' } });
  expect(await call('ADD', broken)).toMatchObject({ exitCode: 1 });
  expect(hostNic()).toEqual({ ...before, index: expect.any(Number) });
  expect(await call('ADD', conf())).toMatchObject({ exitCode: 0 });
  expect(await call('DEL', conf())).toMatchObject({ exitCode: 0 });
});

test('after a reboot nothing is put back, wherever the device is: DEL succeeds and the address is free', async () => {
  const { openStore } = createProgramDeps(silentLogger);
  tree.pci('0000:3b:10.6', { driver: 'vfio-pci' });
  const gone = conf({ deviceID: '0000:3b:10.6' });
  expect(await call('ADD', gone)).toMatchObject({ exitCode: 0 });
  const store = openStore({ stateDir: tree.path('state'), runDir: tree.path('run') });
  const [record] = store.interfaces.all();
  if (record === undefined) throw new Error('no record');
  store.interfaces.put({ ...record, writer: { ...record.writer, bootId: 'an earlier one' } });
  store.close();
  rmSync(join(tree.root, 'bus/pci/devices/0000:3b:10.6'));
  expect(await call('DEL', gone)).toMatchObject({ exitCode: 0 });
  expect(log).toContain('the machine was booted since');
});

test('what another plugin left is not taken from it: its own DEL puts it back', async () => {
  tree.pci('0000:3b:10.6', { driver: 'vfio-pci' });
  const outside = conf({ type: 'host-device', runtimeConfig: { deviceID: '0000:3b:10.6' }, name: 'other' });
  const lost = makeNetns();
  expect(await call('ADD', outside, lost)).toMatchObject({ exitCode: 0 });
  lost[Symbol.dispose]();
  const refused = await call('ADD', conf({ deviceID: '0000:3b:10.6' }));
  expect(refused).toMatchObject({ exitCode: 1, output: { code: 103 } });
  expect(msg(refused)).toContain('host-device could not yet put it back');
  expect(await call('DEL', outside, { ...lost, path: '' })).toMatchObject({ exitCode: 0 });
  expect(await call('ADD', conf({ deviceID: '0000:3b:10.6' }))).toMatchObject({ exitCode: 0 });
  expect(await call('DEL', conf({ deviceID: '0000:3b:10.6' }))).toMatchObject({ exitCode: 0 });
});
