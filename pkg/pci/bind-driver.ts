// Binds a PCI device to a driver, as an administrator does: by writing to sysfs.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';
import { exists } from './files.ts';
import type { PciDevice } from './pci-device.ts';

/**
 * @param device as it is now @param override what driver_override shall say; undefined clears it
 * @throws ManifoldError 'device-held' while a program has it open through VFIO, 'io' when the kernel refuses
 */
export function bindDriver(
  root: string,
  device: PciDevice,
  driver: string,
  override: string | undefined,
): void {
  const { address } = device;
  const at = `${root}/bus/pci/devices/${address}`;
  if (!exists(`${root}/bus/pci/drivers/${driver}`))
    throw new ManifoldError('not-found', `Cannot bind ${address} to ${driver}: that driver is not loaded`, {
      hint: `modprobe ${driver}`,
    });
  if (device.driver !== undefined) {
    refuseOpen(device);
    write(`${at}/driver/unbind`, address, `unbind ${address} from ${device.driver}`);
  }
  write(`${at}/driver_override`, `${override ?? ''}\n`, `set driver_override of ${address}`);
  write(`${root}/bus/pci/drivers/${driver}/bind`, address, `bind ${address} to ${driver}`);
}

/** The kernel would wait, for as long as it takes, until the program lets go. */
function refuseOpen({ address, iommuGroup, driver }: PciDevice): void {
  if (driver !== 'vfio-pci' || iommuGroup === undefined) return;
  const group = `/dev/vfio/${iommuGroup.noiommu ? 'noiommu-' : ''}${iommuGroup.number}`;
  try {
    closeSync(openSync(group, 'r+'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) return;
    throw new ManifoldError(
      'device-held',
      `Cannot unbind ${address} from vfio-pci: a program has ${group} open`,
      {
        hint: `End it: fuser ${group}`,
      },
    );
  }
}

function write(path: string, text: string, task: string): void {
  try {
    // Write-only, as sysfs has them: an open for reading too is refused (EACCES).
    const fd = openSync(path, constants.O_WRONLY);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new ManifoldError('io', `Cannot ${task}: ${String(error.code)} (${path})`, { cause: error });
  }
}
