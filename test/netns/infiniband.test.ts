// InfiniBand virtual functions, which nothing emulates: the plugin on real namespaces, over an interface, a driver and a
// physical function that answer as those of InfiniBand do. The bytes of GUIDs: pkg/kernel/virtual-function.test.ts.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSriov } from '../../cni/sriov/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createProgramDeps, type ProgramDeps } from '../../meta/bin/program-deps.ts';
import type { JsonObject, Plugin, Verb } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { callInside } from '../kit/call-inside.ts';
import { InfinibandPort, PF, VF } from '../kit/infiniband.ts';
import { makeHostNic, makeNetns, type TestNetns, type TestNic } from '../kit/netns.ts';
import { RdmaKernel } from '../kit/rdma-kernel.ts';
import { SysfsTree } from '../kit/sysfs-tree.ts';

const GUID = '02:00:5e:00:00:00:53:01';
const HARDWARE = '00:11:22:33:44:55:66:77';
const guids = (guid: string) => JSON.stringify({ nodeGuid: guid, portGuid: guid });
const ASKED = { runtimeConfig: { infinibandGUID: GUID.toUpperCase() } };

let tree: SysfsTree;
let nics: [TestNic, TestNic];
let pod: TestNetns;
let rdma: RdmaKernel;
let port: InfinibandPort;
let deps: ProgramDeps;
let plugins: Map<string, Plugin>;
let name: string;

beforeEach(() => {
  tree = new SysfsTree();
  nics = [makeHostNic(), makeHostNic()];
  pod = makeNetns();
  rdma = new RdmaKernel();
  const real = createProgramDeps(silentLogger);
  port = new InfinibandPort(tree, real.kernel, rdma, ...nics);
  tree.driver('mlx5_core');
  rdma.devices.push({ index: 9, name: 'mlx5_4', place: real.kernel.host().id });
  deps = { ...real, kernel: port.kernel, sysfs: port.sysfs, rdma: rdma.open };
  plugins = new Map([createSriov(deps), createIpam(deps)].map((plugin) => [plugin.name, plugin]));
  ({ name } = port);
});
afterEach(() => {
  for (const made of [...nics, pod, tree]) made[Symbol.dispose]();
});

const conf = (more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'fabric',
  type: 'sriov',
  deviceID: VF,
  ipam: { type: 'manifold-ipam', range: '172.31.0.0/24' },
  manifold: { stateDir: tree.path('state'), runDir: tree.path('run') },
  ...more,
});

const call = (verb: Verb, config: JsonObject) =>
  callInside(plugins, config, { CNI_COMMAND: verb, CNI_CONTAINERID: pod.name, CNI_NETNS: pod.path });
const ok = async (verb: Verb, config: JsonObject) => {
  const { exitCode, output, text } = await call(verb, config);
  if (exitCode !== 0) throw new Error(text);
  return output;
};
const refused = async (verb: Verb, config: JsonObject) => {
  const { exitCode, text } = await call(verb, config);
  expect(exitCode).toBe(1);
  return text;
};
const rdmaPlaces = () =>
  rdma.devices.map((one) => `${one.name} ${one.place === deps.kernel.host().id ? 'host' : 'pod'}`);

describe('a GUID', () => {
  test('is set at the physical function, read by the driver that is bound again, and put back', async () => {
    const before = deps.kernel.host().link({ name });
    const result = await ok('ADD', conf({ ...ASKED, link_state: 'enable' }));
    expect(port.done).toEqual([JSON.stringify({ linkState: 'enable' }), guids(GUID), 'bind']);
    expect(port.own).toBe(GUID);
    expect(deps.kernel.host().link({ name: port.name })).toBeUndefined();
    expect(rdmaPlaces()).toEqual(['mlx5_4 pod']);
    await ok('CHECK', { ...conf(ASKED), prevResult: result });
    port.done.length = 0;
    await ok('DEL', conf(ASKED));
    expect(port.done).toEqual([JSON.stringify({ linkState: 'auto' }), guids(HARDWARE), 'bind']);
    expect(port.own).toBe(HARDWARE);
    expect(deps.kernel.host().link({ name })).toEqual({
      ...before,
      index: expect.any(Number),
      up: expect.any(Boolean),
      running: expect.any(Boolean),
      parentIndex: expect.any(Number),
      parentNetnsId: expect.any(Number),
    });
    expect(rdmaPlaces()).toEqual(['mlx5_4 host']);
    port.done.length = 0;
    await ok('DEL', conf(ASKED));
    expect(port.done).toEqual([]);
  });

  test('that somebody changed is what CHECK says', async () => {
    const prevResult = await ok('ADD', conf(ASKED));
    port.vf = { ...port.vf, portGuid: HARDWARE };
    expect(await refused('CHECK', { ...conf(ASKED), prevResult })).toContain(
      `the port GUID is ${HARDWARE}, not ${GUID}`,
    );
    await ok('DEL', conf(ASKED));
  });

  test('that was none is taken away by ff', async () => {
    port.vf = { ...port.vf, nodeGuid: '00:00:00:00:00:00:00:00', portGuid: '00:00:00:00:00:00:00:00' };
    await ok('ADD', conf(ASKED));
    await ok('DEL', conf(ASKED));
    expect(port.vf).toMatchObject({
      nodeGuid: 'ff:ff:ff:ff:ff:ff:ff:ff',
      portGuid: 'ff:ff:ff:ff:ff:ff:ff:ff',
    });
  });

  test('of which the kernel does not tell is known by the interface', async () => {
    port.tells = false;
    await ok('ADD', conf(ASKED));
    port.done.length = 0;
    await ok('DEL', conf(ASKED));
    expect(port.done).toEqual([guids(HARDWARE), 'bind']);
  });

  test('from ib-kubernetes serves as well, after the pod\u2019s own', async () => {
    const args = { cni: { guid: GUID, 'mellanox.infiniband.app': 'configured' } };
    await ok('ADD', conf({ args, ibKubernetesEnabled: true, pkey: '0x7fff' }));
    expect(port.own).toBe(GUID);
    await ok('DEL', conf({ args, ibKubernetesEnabled: true, pkey: '0x7fff' }));
  });

  test('that the virtual function has already needs no binding', async () => {
    port.own = GUID;
    port.vf = { ...port.vf, nodeGuid: GUID, portGuid: GUID };
    await ok('ADD', conf(ASKED));
    await ok('DEL', conf(ASKED));
    expect(port.done).toEqual([]);
  });

  test.each<[string, boolean, JsonObject, string]>([
    ['IPAM fails', false, { ipam: { type: 'manifold-ipam', range: '172.31.0.0/33' } }, '172.31.0.0/33'],
    ['the driver does not bind', true, {}, `Cannot bind ${VF}`],
  ])('is back after %s', async (_, bindFails, keys, why) => {
    port.bindFails = bindFails;
    expect(await refused('ADD', conf({ ...ASKED, link_state: 'enable', ...keys }))).toContain(why);
    expect(port.vf).toMatchObject({ nodeGuid: HARDWARE, portGuid: HARDWARE, linkState: 'auto' });
    expect(port.own).toBe(HARDWARE);
    expect(port.name).toBe(name);
    expect(rdmaPlaces()).toEqual(['mlx5_4 host']);
  });

  test('for a function of a user-space driver is set, and nothing bound', async () => {
    tree.pci('0000:3b:10.5', { driver: 'vfio-pci', virtualOf: [PF, 1] });
    port.vf = { ...port.vf, index: 1 };
    await ok('ADD', conf({ ...ASKED, deviceID: '0000:3b:10.5' }));
    expect(port.done).toEqual([guids(GUID)]);
    await ok('DEL', conf({ ...ASKED, deviceID: '0000:3b:10.5' }));
    expect(port.done).toEqual([guids(GUID), guids(HARDWARE)]);
  });
});

describe('without a GUID', () => {
  test('a function that has a usable one keeps it', async () => {
    await ok('ADD', conf());
    await ok('DEL', conf());
    expect(port.done).toEqual([]);
  });

  test.each(['00:00:00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff:ff:ff'])('one with %s is refused', async (own) => {
    port.own = own;
    expect(await refused('ADD', conf())).toContain(`its GUID is ${own}, which reaches nobody`);
  });

  test.each<[JsonObject, number]>([
    [{}, 11],
    [{ args: { cni: { 'mellanox.infiniband.app': 'configured' } } }, 7],
  ])('one that ib-kubernetes was to give is waited for: %j', async (keys, code) => {
    const answer = await call('ADD', conf({ ...keys, ibKubernetesEnabled: true }));
    expect(answer.output).toMatchObject({ code });
  });
});

describe('refused before any change:', () => {
  test.each<[JsonObject, string]>([
    [{ mac: '02:00:5e:00:53:01', vlan: 5, trust: 'on' }, "'mac', 'vlan', 'trust'"],
    [{ max_tx_rate: 100, min_tx_rate: 10, spoofchk: 'on' }, "'min_tx_rate', 'max_tx_rate', 'spoofchk'"],
    [{ ipam: { type: 'dhcp' } }, 'the plugin dhcp cannot serve InfiniBand'],
    [{ runtimeConfig: { infinibandGUID: 'ff:ff:ff:ff:ff:ff:ff:ff' } }, 'must be a GUID'],
    [{ runtimeConfig: { infinibandGUID: '02:00' } }, 'must be a GUID'],
  ])('%j', async (keys, said) => {
    expect(await refused('ADD', conf(keys))).toContain(said);
    expect(port.done).toEqual([]);
  });
});

describe('rdmaIsolation', () => {
  test('false: the RDMA device stays', async () => {
    await ok('ADD', conf({ rdmaIsolation: false }));
    expect(rdmaPlaces()).toEqual(['mlx5_4 host']);
    await ok('DEL', conf({ rdmaIsolation: false }));
  });

  test('true: refused in shared mode', async () => {
    rdma.mode = 'shared';
    expect(await refused('ADD', conf({ rdmaIsolation: true }))).toContain('shares its RDMA devices');
  });
});
