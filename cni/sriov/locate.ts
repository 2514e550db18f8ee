// Finds the virtual function that a configuration names, through sysfs, by its PCI address.
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Kernel, Link } from '../../pkg/kernel/kernel.ts';
import { lookElsewhere } from '../../pkg/kernel/look-elsewhere.ts';
import { mainNetdev, type Netdev } from '../../pkg/pci/netdev.ts';
import { isUserSpaceDriver, type PciDevice } from '../../pkg/pci/pci-device.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';

export interface LocatedVf {
  readonly pci: PciDevice;
  readonly driver: string;
  /** Its interface on the host; undefined with a user-space driver. */
  readonly host: { readonly link: Link; readonly netdev: Netdev } | undefined;
  /** The physical function's PCI address, and the number there; undefined where none is seen (in a virtual machine). */
  readonly pf: { readonly address: string; readonly index: number } | undefined;
}

export const vfKey = (address: string): string => `pci:${address.toLowerCase()}`;

/** @throws ManifoldError 'not-found', 'bad-config' for a device that is no virtual function */
export function locateVf(kernel: Kernel, sysfs: Sysfs, deviceId: string): LocatedVf {
  const pci = sysfs.pci(deviceId);
  if (pci === undefined) throw noDevice(sysfs, deviceId);
  const { address, driver, physicalFunction } = pci;
  if (pci.sriov !== undefined && pci.sriov.totalVfs > 0)
    throw new ManifoldError(
      'bad-config',
      `Cannot take ${address}: it is a physical function, not a virtual one`,
      {
        hint: `Use the host-device plugin to give a pod the whole port. Its virtual functions: ${listVfs(sysfs, address)}.`,
      },
    );
  if (driver === undefined)
    throw new ManifoldError('not-found', `Cannot take ${address}: it is bound to no driver`, {
      hint: `Bind it to its network driver, or to vfio-pci for use in user space; see /sys/bus/pci/devices/${address}.`,
    });
  const slot =
    physicalFunction === undefined
      ? undefined
      : sysfs.virtualFunctions(physicalFunction).find((vf) => vf.address === address);
  if (physicalFunction !== undefined && slot === undefined)
    throw new ManifoldError(
      'not-found',
      `Cannot take ${address}: its physical function ${physicalFunction} does not number it`,
      { hint: 'Its virtual functions are being made or removed at this moment. Retry.' },
    );
  return {
    pci,
    driver,
    host: isUserSpaceDriver(driver) ? undefined : findInterface(kernel, pci),
    pf:
      physicalFunction === undefined || slot === undefined
        ? undefined
        : { address: physicalFunction, index: slot.index },
  };
}

function findInterface(
  kernel: Kernel,
  { address, netdevs, driver }: PciDevice,
): NonNullable<LocatedVf['host']> {
  const netdev = mainNetdev(netdevs);
  const link = netdev === undefined ? undefined : kernel.host().link({ name: netdev.name });
  if (netdev !== undefined && link !== undefined) return { link, netdev };
  const elsewhere = lookElsewhere(kernel, (namespace) =>
    namespace.links().find(({ device }) => device?.bus === 'pci' && device.name === address),
  );
  try {
    const where =
      elsewhere === undefined
        ? `its driver ${driver ?? ''} has made none`
        : `it is ${elsewhere.found.name} in ${elsewhere.namespace.path ?? ''}`;
    throw new ManifoldError('not-found', `Cannot find the interface of ${address} on the host: ${where}`, {
      hint: 'No record of this node says who has it. Bring it back to the host, or bind its driver again.',
    });
  } finally {
    elsewhere?.namespace.close();
  }
}

function noDevice(sysfs: Sysfs, deviceId: string): ManifoldError {
  if (sysfs.auxiliary(deviceId) !== undefined)
    return new ManifoldError(
      'bad-config',
      `Cannot take ${deviceId}: it is an auxiliary device, not a virtual function`,
      { hint: 'Use the host-device plugin for it.' },
    );
  const pfs = sysfs.pciAddresses().filter((address) => sysfs.virtualFunctions(address).length > 0);
  const has = pfs.map((pf) => `${pf}: ${listVfs(sysfs, pf)}`).join('; ');
  return new ManifoldError('not-found', `Cannot find ${deviceId}: there is no such PCI device`, {
    hint: `Virtual functions of this node: ${has || 'none'}. See sriov_numvfs of its physical function.`,
  });
}

function listVfs(sysfs: Sysfs, pf: string): string {
  const vfs = sysfs.virtualFunctions(pf).map(({ address }) => address);
  return vfs.join(', ') || 'none';
}
