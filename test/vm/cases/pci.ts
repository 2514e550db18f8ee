// What pkg/pci reads of real hardware.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { captureSysfs } from '../../kit/captured-sysfs.ts';
import { vmCase, vmGroup } from '../case.ts';
import { VFS_PER_PORT } from '../guest/port.ts';
import { difference } from '../guest/ports.ts';
import { SHARES } from '../machine/init.ts';

export const pci = vmGroup('sysfs', [
  vmCase('shows a port and its virtual functions as typed values', ({ ports, sysfs }) => {
    const [port, other] = ports;
    const { name } = port.link();
    const vf = port.homeVf(2);
    const { iommuGroup, ...pf } = sysfs.pci(port.address) ?? {};
    ok(iommuGroup?.noiommu === false);
    deepEqual(pf, {
      ...{ address: port.address, vendor: '8086', device: '10c9', class: '020000', driver: 'igb' },
      ...{ numaNode: undefined, rdmaDevices: [], physicalFunction: undefined },
      netdevs: [{ name, physPortName: undefined, devPort: 0, macFrom: 'hardware', speedMbps: 1000 }],
      sriov: { totalVfs: 7, numVfs: 7 },
    });
    const address = port.vfAddress(2);
    const virtual = sysfs.pci(address);
    deepEqual([virtual?.device, virtual?.driver, virtual?.physicalFunction], ['10ca', 'igbvf', port.address]);
    deepEqual(
      virtual?.netdevs.map((netdev) => netdev.name),
      [vf.name],
    );
    ok(virtual?.iommuGroup?.number !== iommuGroup.number);
    equal(sysfs.pciOfNetdev(vf.name), address);
    equal(sysfs.driverOverride(address), undefined);
    deepEqual(
      sysfs.siblings(address),
      sysfs
        .virtualFunctions(port.address)
        .map((one) => one.address)
        .filter((one) => one !== address),
    );
    ok(sysfs.pciAddresses().includes(other.address));
  }),

  vmCase(
    'of a port and its functions is what was captured for the unit tests',
    ({ ports, tell, settings }) => {
      const [port] = ports;
      const functions = Array.from({ length: VFS_PER_PORT }, (_, index) => port.vfAddress(index));
      const now = captureSysfs([port.address, ...functions]);
      if (settings.CAPTURE !== undefined) tell(now);
      const captured = readFileSync(`${SHARES.repo}/test/kit/captured/igb-sysfs.txt`, 'utf8');
      deepEqual(difference(unnamed(captured), unnamed(now)), []);
    },
  ),
]);

/** Without the names that the kernel gave to interfaces, in the order in which drivers were bound. */
const unnamed = (text: string) => text.replaceAll(/\beth\d+\b/g, 'eth');
