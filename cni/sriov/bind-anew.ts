// Binds a virtual function to its driver again: an InfiniBand one reads its GUIDs only then, and gets another interface
// and another RDMA device.

import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { monotonicMs, sleep } from '../../pkg/kernel/clock.ts';
import { whileLocked } from '../../pkg/kernel/file-lock.ts';
import type { Link } from '../../pkg/kernel/kernel.ts';
import { isErrno } from '../../pkg/kernel/kernel-error.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import { mainNetdev } from '../../pkg/pci/netdev.ts';
import type { SriovDeps } from './retract.ts';
import type { SavedVf } from './saved-vf.ts';

/** mlx5 takes some seconds for each. */
const MADE_MS = 15_000;
const LOOK_EVERY_MS = 20;
/** Others may be at it before. */
const LOCK_MS = 60_000;

/**
 * One at a time for each driver: the kernel gives the lowest free name to the next RDMA device, so that two functions
 * bound at once would change names.
 * @returns its interface on the host
 * @throws ManifoldError 'kernel' when no interface appears; of the driver's binding
 */
export function bindAnew(deps: SriovDeps, saved: Omit<SavedVf, 'vf'>, log: Logger): Link {
  const { sysfs } = deps;
  const { pci, driver, driverOverride, rdmaName } = saved;
  return whileLocked(sysfs.driverDirectory(driver), LOCK_MS, () => {
    sysfs.bind(pci, driver, driverOverride);
    const link = until(() => {
      const netdev = mainNetdev(sysfs.pci(pci)?.netdevs ?? []);
      return netdev && deps.kernel.host().link({ name: netdev.name });
    });
    if (link === undefined)
      throw new ManifoldError(
        'kernel',
        `Cannot find an interface of ${pci} after ${driver} was bound again`,
        { hint: 'InfiniBand interfaces need the module ib_ipoib; see dmesg.' },
      );
    if (rdmaName !== undefined) nameRdma(deps, pci, rdmaName, log);
    return link;
  });
}

function nameRdma({ kernel, sysfs, rdma }: SriovDeps, pci: string, name: string, log: Logger): void {
  const made = until(() => sysfs.pci(pci)?.rdmaDevices[0]);
  if (made === name) return;
  const home = rdma(kernel.host());
  const device = home.devices().find((one) => one.name === made);
  try {
    if (device !== undefined) home.rename(device.index, name);
  } catch (error) {
    // Of the device's properties that one is least: a later DEL could not do better.
    if (!isManifoldError(error) || !isErrno(error, 'EEXIST')) throw error;
    log.warn('RDMA device keeps its new name', { device: made ?? '', was: name });
  }
}

function until<T>(look: () => T | undefined): T | undefined {
  const end = monotonicMs() + MADE_MS;
  for (;;) {
    const found = look();
    if (found !== undefined || monotonicMs() >= end) return found;
    sleep(LOOK_EVERY_MS);
  }
}
