// Devices that are found through sysfs, on a tree made for the test: PCI, virtio, auxiliary, and user-space drivers.
// The interface behind them is a veth end: this is about finding the device, not about its driver.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createProgramDeps } from '../../meta/bin/program-deps.ts';
import { answerCall } from '../../pkg/cni/answer.ts';
import type { JsonObject, Plugin, Verb } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { createSysfs } from '../../pkg/pci/sysfs.ts';
import { makeHostNic, makeNetns, type TestNetns, type TestNic } from '../kit/netns.ts';

let directory: string;
let nic: TestNic;
let pod: TestNetns;
let plugins: Map<string, Plugin>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-sysfs-'));
  nic = makeHostNic();
  pod = makeNetns();
  const deps = { ...createProgramDeps(silentLogger), sysfs: createSysfs(join(directory, 'sys')) };
  plugins = new Map([createHostDevice(deps), createIpam(deps)].map((plugin) => [plugin.name, plugin]));
});
afterEach(() => {
  nic[Symbol.dispose]();
  pod[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const sys = (...path: string[]) => join(directory, 'sys', ...path);

function pciDevice(address: string, driver: string | undefined, ...children: string[]): void {
  mkdirSync(sys('bus/pci/devices', address), { recursive: true });
  for (const child of children) mkdirSync(sys('bus/pci/devices', address, child), { recursive: true });
  if (driver !== undefined) symlinkSync(`../../drivers/${driver}`, sys('bus/pci/devices', address, 'driver'));
}

async function call(verb: Verb, conf: JsonObject, containerId = 'c1') {
  const plugin = plugins.get('host-device');
  if (plugin === undefined) throw new Error('no plugin');
  const config = {
    cniVersion: '1.1.0',
    name: 'fabric',
    type: 'host-device',
    ipam: { type: 'manifold-ipam', range: '172.31.0.0/24' },
    manifold: { stateDir: join(directory, 'state'), runDir: join(directory, 'run') },
    ...conf,
  };
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'net1',
    CNI_PATH: '/nowhere',
  };
  return answerCall(plugin, () => JSON.stringify(config), { env, plugins, stderr: () => undefined });
}

const inPod = () => pod.ip('link').map((link) => (link as { ifname: string }).ifname);

describe('the interface is found behind', () => {
  test.each<[string, () => void, JsonObject]>([
    [
      'a PCI address',
      () => pciDevice('0000:3b:00.2', 'mlx5_core', `net/${nic.name}`),
      { pciBusID: '0000:3b:00.2' },
    ],
    [
      'the deviceID of a device plugin',
      () => pciDevice('0000:3b:00.2', 'mlx5_core', `net/${nic.name}`),
      { device: 'other', runtimeConfig: { deviceID: '0000:3b:00.2' } },
    ],
    [
      'a virtio function',
      () => pciDevice('0000:00:03.0', 'virtio-pci', `virtio0/net/${nic.name}`),
      { pciBusID: '0000:00:03.0' },
    ],
    [
      'an auxiliary device',
      () => void mkdirSync(sys('bus/auxiliary/devices/mlx5_core.sf.4/net', nic.name), { recursive: true }),
      { runtimeConfig: { deviceID: 'mlx5_core.sf.4' } },
    ],
    [
      'a path in /sys/devices',
      () => void mkdirSync(sys('devices/pci0000:00/x/net', nic.name), { recursive: true }),
      { kernelpath: '/sys/devices/pci0000:00/x' },
    ],
  ])('%s', async (_what, make, conf) => {
    make();
    const added = await call('ADD', conf);
    expect(added).toMatchObject({ exitCode: 0, output: { interfaces: [{ name: 'net1' }] } });
    expect(inPod()).toEqual(['lo', 'net1']);
    expect(await call('CHECK', { ...conf, prevResult: added.output })).toMatchObject({ exitCode: 0 });
    expect(await call('DEL', conf)).toMatchObject({ exitCode: 0 });
    expect(inPod()).toEqual(['lo']);
  });
});

test('the PCI address stands in the result of CNI 1.1', async () => {
  pciDevice('0000:3b:00.2', 'mlx5_core', `net/${nic.name}`);
  const { output } = await call('ADD', { pciBusID: '0000:3b:00.2' });
  expect(output).toMatchObject({ interfaces: [{ pciID: '0000:3b:00.2' }] });
  await call('DEL', { pciBusID: '0000:3b:00.2' });
});

describe.each(['vfio-pci', 'uio_pci_generic', 'igb_uio'])(
  'a device with the user-space driver %s',
  (driver) => {
    const conf = { runtimeConfig: { deviceID: '0000:3b:00.3' } };

    test('gets addresses and is reported, and nothing is moved', async () => {
      pciDevice('0000:3b:00.3', driver);
      const { exitCode, output } = await call('ADD', conf);
      expect(exitCode).toBe(0);
      expect(output).toEqual({
        cniVersion: '1.1.0',
        interfaces: [{ name: 'net1', sandbox: pod.path, pciID: '0000:3b:00.3' }],
        ips: [{ address: '172.31.0.1/24', interface: 0 }],
      });
      expect(inPod()).toEqual(['lo']);
      expect(await call('CHECK', { ...conf, prevResult: output })).toMatchObject({ exitCode: 0 });
      const second = await call('ADD', conf, 'c2');
      expect(second.output?.msg).toBe('Cannot take device 0000:3b:00.3: container c1 has it as net1');
      expect(await call('DEL', conf)).toMatchObject({ exitCode: 0 });
      expect(await call('ADD', conf, 'c2')).toMatchObject({ exitCode: 0 });
      expect(await call('DEL', conf, 'c2')).toMatchObject({ exitCode: 0 });
    });
  },
);

test('a PCI device without a driver is refused, and DEL of it succeeds', async () => {
  pciDevice('0000:3b:00.4', undefined);
  const { exitCode, output } = await call('ADD', { pciBusID: '0000:3b:00.4' });
  expect(exitCode).toBe(1);
  expect(output?.msg).toBe('Cannot take PCI device 0000:3b:00.4: it is bound to no driver');
  expect(await call('DEL', { pciBusID: '0000:3b:00.4' })).toMatchObject({ exitCode: 0 });
});

test('a physical function is refused while its virtual ones are in use, with their list', async () => {
  const link = (from: string, to: string) => symlinkSync(to, sys('bus/pci/devices', from));
  pciDevice('0000:3b:00.0', 'igb', `net/${nic.name}`);
  pciDevice('0000:3b:10.0', 'vfio-pci');
  pciDevice('0000:3b:10.2', 'igbvf', 'net/of-the-host');
  pciDevice('0000:3b:10.4', 'igbvf');
  pciDevice('0000:3b:10.6', undefined);
  for (const [index, vf] of ['10.0', '10.2', '10.4', '10.6'].entries())
    link(`0000:3b:00.0/virtfn${index}`, `../0000:3b:${vf}`);
  const conf = { pciBusID: '0000:3b:00.0' };
  const refused = await call('ADD', conf);
  expect(refused).toMatchObject({ exitCode: 1, output: { code: 103 } });
  expect(String(refused.output?.msg)).toContain(
    'in use: 0000:3b:10.0 (vfio-pci), 0000:3b:10.4 (in another namespace)',
  );
  const manifold = { stateDir: join(directory, 'state'), runDir: join(directory, 'run'), force: true };
  expect(await call('ADD', { ...conf, manifold })).toMatchObject({ exitCode: 0 });
  expect(await call('DEL', { ...conf, manifold })).toMatchObject({ exitCode: 0 });
});
