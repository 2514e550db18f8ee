import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SysfsTree } from '../../test/kit/sysfs-tree.ts';
import { createSysfs } from './sysfs.ts';

const VF = '0000:3b:10.4';
let tree: SysfsTree;
let device: string;
beforeEach(() => {
  tree = new SysfsTree();
  device = tree.pci(VF, { driver: 'vfio-pci', iommuGroup: '999999' });
  writeFileSync(join(device, 'driver_override'), 'vfio-pci\n');
  for (const driver of ['vfio-pci', 'igbvf'])
    for (const file of ['bind', 'unbind']) writeFileSync(join(tree.driver(driver), file), '');
});
afterEach(() => tree[Symbol.dispose]());
const written = (driver: string, file: string) => readFileSync(join(tree.driver(driver), file), 'utf8');

test('a device is unbound, its override changed, and bound', () => {
  const sysfs = createSysfs(tree.root);
  expect(sysfs.driverOverride(VF)).toBe('vfio-pci');
  sysfs.bind(VF, 'igbvf', undefined);
  expect(written('vfio-pci', 'unbind')).toBe(VF);
  // The kernel takes an empty line for "none"; a plain file keeps what was there behind it.
  expect(readFileSync(join(device, 'driver_override'), 'utf8').startsWith('\n')).toBe(true);
  expect(written('igbvf', 'bind')).toBe(VF);
});

test('a device without driver is only bound', () => {
  rmSync(join(device, 'driver'));
  createSysfs(tree.root).bind(VF, 'igbvf', 'igbvf');
  expect(written('vfio-pci', 'unbind')).toBe('');
  expect(readFileSync(join(device, 'driver_override'), 'utf8')).toContain('igbvf\n');
  expect(written('igbvf', 'bind')).toBe(VF);
});

test('a driver that is not loaded, a device that is not there and a refusal are named', () => {
  const sysfs = createSysfs(tree.root);
  expect(() => sysfs.bind(VF, 'iavf', undefined)).toThrow(/that driver is not loaded/);
  expect(written('vfio-pci', 'unbind')).toBe('');
  expect(() => sysfs.bind('0000:ff:00.0', 'igbvf', undefined)).toThrow(/there is no such device/);
  rmSync(join(tree.driver('igbvf'), 'bind'));
  mkdirSync(join(tree.driver('igbvf'), 'bind'));
  expect(() => sysfs.bind(VF, 'igbvf', undefined)).toThrow(/Cannot bind 0000:3b:10.4 to igbvf: EISDIR/);
});

test('no override is none', () => {
  writeFileSync(join(device, 'driver_override'), '(null)\n');
  expect(createSysfs(tree.root).driverOverride(VF)).toBeUndefined();
});
