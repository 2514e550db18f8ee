import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SysfsTree } from '../../test/kit/sysfs-tree.ts';
import { createSysfs, type Sysfs } from './sysfs.ts';

let tree: SysfsTree;
let sysfs: Sysfs;
beforeEach(() => {
  tree = new SysfsTree();
  sysfs = createSysfs(tree.root);
});
afterEach(() => tree[Symbol.dispose]());

const PF = '0000:3b:00.0';
const names = (netdevs: readonly { name: string }[] | undefined) => netdevs?.map(({ name }) => name);

/** A card of two ports, the first with three VFs: one driven by the kernel, one by user space, one by nobody. */
function makeCard(): void {
  tree.pci(PF, {
    driver: 'igb',
    numaNode: 1,
    iommuGroup: '9',
    totalVfs: 7,
    netdevs: { ens1f0: { speed: '1000', addr_assign_type: '0' } },
    rdmaDevices: ['mlx5_0'],
  });
  tree.pci('0000:3b:00.1', { driver: 'igb', totalVfs: 7 });
  tree.pci('0000:3b:10.4', {
    device: '10ca',
    driver: 'igbvf',
    virtualOf: [PF, 2],
    netdevs: { ens1f0v2: { speed: '-1', addr_assign_type: '1', dev_port: '0' } },
  });
  tree.pci('0000:3b:10.0', { device: '10ca', driver: 'vfio-pci', iommuGroup: '11', virtualOf: [PF, 0] });
  tree.pci('0000:3b:10.2', { device: '10ca', virtualOf: [PF, 1] });
}

describe('a PCI function', () => {
  test('has its identity, driver, place and what it can do', () => {
    makeCard();
    expect(sysfs.pci(PF)).toEqual({
      address: PF,
      vendor: '8086',
      device: '10c9',
      class: '020000',
      driver: 'igb',
      numaNode: 1,
      iommuGroup: { number: '9', noiommu: false },
      netdevs: [
        { name: 'ens1f0', physPortName: undefined, devPort: 0, macFrom: 'hardware', speedMbps: 1000 },
      ],
      rdmaDevices: ['mlx5_0'],
      physicalFunction: undefined,
      sriov: { totalVfs: 7, numVfs: 3 },
    });
  });

  test('that is virtual names its physical one, and says how it got its MAC', () => {
    makeCard();
    expect(sysfs.pci('0000:3b:10.4')).toMatchObject({
      physicalFunction: PF,
      numaNode: undefined,
      sriov: undefined,
      netdevs: [{ name: 'ens1f0v2', macFrom: 'random', speedMbps: undefined }],
    });
  });

  test('has its virtual functions in order of their numbers', () => {
    makeCard();
    expect(sysfs.virtualFunctions(PF)).toEqual([
      { index: 0, address: '0000:3b:10.0' },
      { index: 1, address: '0000:3b:10.2' },
      { index: 2, address: '0000:3b:10.4' },
    ]);
    expect(sysfs.virtualFunctions('0000:3b:10.4')).toEqual([]);
    expect(sysfs.virtualFunctions('0000:ff:00.0')).toEqual([]);
  });

  test('has siblings: the other VFs of its PF, or the other functions of its slot', () => {
    makeCard();
    expect(sysfs.siblings('0000:3b:10.2')).toEqual(['0000:3b:10.0', '0000:3b:10.4']);
    expect(sysfs.siblings(PF)).toEqual(['0000:3b:00.1']);
    expect(sysfs.siblings('0000:ff:00.0')).toEqual([]);
  });

  test('that user space drives has a driver, a group and no interface', () => {
    makeCard();
    expect(sysfs.pci('0000:3b:10.0')).toMatchObject({
      driver: 'vfio-pci',
      iommuGroup: { number: '11', noiommu: false },
      netdevs: [],
    });
  });

  test('that nothing drives is there all the same', () => {
    makeCard();
    expect(sysfs.pci('0000:3b:10.2')).toMatchObject({ driver: undefined, netdevs: [] });
  });

  test('is found in capitals too, and is called what sysfs calls it', () => {
    makeCard();
    expect(sysfs.pci('0000:3B:10.4')?.address).toBe('0000:3b:10.4');
  });

  test('on virtio has the interface of its virtio function, and the interface leads back to it', () => {
    const at = tree.pci('0000:00:03.0', { driver: 'virtio-pci' });
    tree.netdev(join(at, 'virtio2'), 'eth0');
    expect(names(sysfs.pci('0000:00:03.0')?.netdevs)).toEqual(['eth0']);
    expect(sysfs.pciOfNetdev('eth0')).toBe('0000:00:03.0');
  });

  test('of a switch in switchdev mode has its representors beside its own interface', () => {
    const netdevs = { ens1f0np0: { phys_port_name: 'p0' }, ens1f0npf0vf1: { phys_port_name: 'pf0vf1' } };
    tree.pci(PF, { netdevs });
    expect(sysfs.pci(PF)?.netdevs.map(({ physPortName }) => physPortName)).toEqual(['p0', 'pf0vf1']);
  });
});

test('a missing device is not there and has nothing', () => {
  expect(sysfs.pci('0000:ff:00.0')).toBeUndefined();
  expect(sysfs.auxiliary('mlx5_core.sf.9')).toBeUndefined();
  expect(sysfs.netdev('eth9')).toBeUndefined();
  expect(sysfs.pciOfNetdev('eth9')).toBeUndefined();
  expect(sysfs.pciAddresses()).toEqual([]);
});

test('all PCI functions are listed by address', () => {
  makeCard();
  expect(sysfs.pciAddresses()).toEqual([PF, '0000:3b:00.1', '0000:3b:10.0', '0000:3b:10.2', '0000:3b:10.4']);
});

test('an auxiliary device has its interface, its RDMA device, and the function that it is a part of', () => {
  const at = tree.auxiliary('mlx5_core.sf.4', tree.pci(PF), 88);
  tree.netdev(at, 'enp3s0f0s88');
  mkdirSync(join(at, 'infiniband/mlx5_4'), { recursive: true });
  tree.link(join(at, 'driver'), tree.path('bus/auxiliary/drivers/mlx5_core.sf'));
  expect(sysfs.auxiliary('mlx5_core.sf.4')).toMatchObject({
    driver: 'mlx5_core.sf',
    netdevs: [{ name: 'enp3s0f0s88' }],
    rdmaDevices: ['mlx5_4'],
    parent: PF,
    sfNumber: 88,
  });
  expect(sysfs.pciOfNetdev('enp3s0f0s88')).toBe(PF);
});

test('a path below /sys/devices has the interfaces of its net directory', () => {
  tree.netdev(tree.path('devices/pci0000:00/0000:00:03.0/virtio2'), 'eth0');
  expect(names(sysfs.netdevsOfPath('/sys/devices/pci0000:00/0000:00:03.0/virtio2'))).toEqual(['eth0']);
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
    makeCard();
    tree.driver('mlx5_core');
    expect(sysfs.pci(name)).toBeUndefined();
    expect(sysfs.auxiliary(name)).toBeUndefined();
    expect(sysfs.netdev(name)).toBeUndefined();
    expect(sysfs.pciOfNetdev(name)).toBeUndefined();
    expect(sysfs.virtualFunctions(name)).toEqual([]);
    expect(sysfs.siblings(name)).toEqual([]);
  },
);
