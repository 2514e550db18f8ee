import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layOutSysfs } from '../../test/kit/captured-sysfs.ts';
import { createSysfs, type Sysfs } from './sysfs.ts';

const PF = '0000:01:00.0';

let tree: ReturnType<typeof layOutSysfs>;
let sysfs: Sysfs;
beforeAll(() => {
  const file = new URL('../../test/kit/captured/igb-sysfs.txt', import.meta.url);
  tree = layOutSysfs(readFileSync(file, 'utf8'));
  sysfs = createSysfs(tree.root);
});
afterAll(() => tree[Symbol.dispose]());

test('a captured igb port is read with its seven functions', () => {
  expect(sysfs.pci(PF)).toMatchObject({
    ...{ vendor: '8086', device: '10c9', class: '020000', driver: 'igb', numaNode: undefined },
    netdevs: [{ name: 'eth0', macFrom: 'hardware', speedMbps: 1000 }],
    sriov: { totalVfs: 7, numVfs: 7 },
    physicalFunction: undefined,
  });
  expect(sysfs.virtualFunctions(PF)).toEqual(
    Array.from({ length: 7 }, (_, index) => ({
      index,
      address: `0000:01:1${index < 4 ? 0 : 1}.${(index % 4) * 2}`,
    })),
  );
});

test('each captured function knows its port, its driver and its interface, which leads back to it', () => {
  for (const { address } of sysfs.virtualFunctions(PF)) {
    const found = sysfs.pci(address);
    expect(found).toMatchObject({ device: '10ca', driver: 'igbvf', physicalFunction: PF, sriov: undefined });
    const [netdev, ...more] = found?.netdevs ?? [];
    expect(more).toEqual([]);
    expect(netdev).toMatchObject({ macFrom: 'random', speedMbps: undefined });
    expect(sysfs.pciOfNetdev(netdev?.name ?? '')).toBe(address);
    expect(found?.iommuGroup?.noiommu).toBe(false);
    expect(sysfs.driverOverride(address)).toBeUndefined();
    expect(sysfs.siblings(address)).toHaveLength(6);
  }
});
