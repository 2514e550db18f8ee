import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSysfs, type Sysfs } from './sysfs.ts';

let root: string;
let sysfs: Sysfs;

/** A machine with a NIC, a VF in use by vfio, a virtio NIC, a driverless device and a scalable function. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-sysfs-'));
  sysfs = createSysfs(root);
  for (const path of [
    'bus/pci/devices/0000:3b:00.0/net/ens1f1',
    'bus/pci/devices/0000:3b:00.0/net/ens1f0',
    'bus/pci/devices/0000:3b:00.2',
    'bus/pci/devices/0000:00:03.0/virtio2/net/eth0',
    'bus/pci/devices/0000:00:04.0',
    'bus/auxiliary/devices/mlx5_core.sf.4/net/enp3s0f0s88',
    'devices/pci0000:00/0000:00:03.0/virtio2/net/eth0',
    'bus/pci/drivers/mlx5_core',
    'bus/pci/drivers/vfio-pci',
  ]) {
    mkdirSync(join(root, path), { recursive: true });
  }
  symlinkSync('../../drivers/mlx5_core', join(root, 'bus/pci/devices/0000:3b:00.0/driver'));
  symlinkSync('../../drivers/vfio-pci', join(root, 'bus/pci/devices/0000:3b:00.2/driver'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

test('a PCI device has its interfaces by alphabet', () => {
  expect(sysfs.netdevsOfPci('0000:3b:00.0')).toEqual(['ens1f0', 'ens1f1']);
});

test('a virtio device has the interface of its virtio function', () => {
  expect(sysfs.netdevsOfPci('0000:00:03.0')).toEqual(['eth0']);
});

test('a device that user space drives has a driver and no interface', () => {
  expect(sysfs.netdevsOfPci('0000:3b:00.2')).toEqual([]);
  expect(sysfs.driverOfPci('0000:3b:00.2')).toBe('vfio-pci');
  expect(sysfs.driverOfPci('0000:3b:00.0')).toBe('mlx5_core');
});

test('a device without a driver is there and has none', () => {
  expect(sysfs.hasPciDevice('0000:00:04.0')).toBe(true);
  expect(sysfs.driverOfPci('0000:00:04.0')).toBeUndefined();
});

test('a missing device is not there and has nothing', () => {
  expect(sysfs.hasPciDevice('0000:ff:00.0')).toBe(false);
  expect(sysfs.netdevsOfPci('0000:ff:00.0')).toEqual([]);
  expect(sysfs.driverOfPci('0000:ff:00.0')).toBeUndefined();
  expect(sysfs.hasAuxiliaryDevice('mlx5_core.sf.9')).toBe(false);
  expect(sysfs.netdevsOfAuxiliary('mlx5_core.sf.9')).toEqual([]);
});

test('an auxiliary device has its interface', () => {
  expect(sysfs.hasAuxiliaryDevice('mlx5_core.sf.4')).toBe(true);
  expect(sysfs.netdevsOfAuxiliary('mlx5_core.sf.4')).toEqual(['enp3s0f0s88']);
});

test('a path below /sys/devices has the interfaces of its net directory', () => {
  expect(sysfs.netdevsOfPath('/sys/devices/pci0000:00/0000:00:03.0/virtio2')).toEqual(['eth0']);
  expect(sysfs.netdevsOfPath('/sys/devices/nothing')).toEqual([]);
});

test.each(['/sys/class/net/eth0', '/sys/devices/../class/net', '/etc', 'devices/pci0000:00', ''])(
  'the path "%s" is refused',
  (path) => {
    expect(() => sysfs.netdevsOfPath(path)).toThrow(expect.objectContaining({ code: 'bad-config' }));
  },
);

test.each(['..', '.', '', '../drivers/mlx5_core', '0000:3b:00.0/net', 'a\0b'])(
  'a device called "%s" leads nowhere',
  (name) => {
    expect(sysfs.hasPciDevice(name)).toBe(false);
    expect(sysfs.hasAuxiliaryDevice(name)).toBe(false);
    expect(sysfs.netdevsOfPci(name)).toEqual([]);
    expect(sysfs.netdevsOfAuxiliary(name)).toEqual([]);
    expect(sysfs.driverOfPci(name)).toBeUndefined();
  },
);
