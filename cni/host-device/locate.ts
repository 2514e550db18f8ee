// Finds the device that a configuration names: an interface of the host, or a PCI device without one because a
// user-space driver has it.
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link, Namespace } from '../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../pkg/kernel/sysfs.ts';
import { describeSelector, type HostDeviceConfig } from './config.ts';

export type Located =
  | { readonly kind: 'link'; readonly link: Link; readonly pci: string | undefined }
  | { readonly kind: 'user-space'; readonly pci: string; readonly driver: string };

/** Drivers that hand a PCI device to user space (DPDK): it has no network interface then. */
const USER_SPACE_DRIVERS: ReadonlySet<string> = new Set(['vfio-pci', 'uio_pci_generic', 'igb_uio']);

/** @throws ManifoldError 'not-found', saying what the host has, or that the PCI device has no driver */
export function locateDevice(
  host: Namespace,
  sysfs: Sysfs,
  config: HostDeviceConfig,
  network: string,
): Located {
  const { device, hwaddr, kernelpath, pciBusID, runtimeConfig } = config;
  const deviceID = runtimeConfig?.deviceID;
  if (deviceID !== undefined) {
    if (sysfs.hasPciDevice(deviceID)) return byPci(host, sysfs, deviceID, config, network);
    if (sysfs.hasAuxiliaryDevice(deviceID))
      return firstOf(host, sysfs.netdevsOfAuxiliary(deviceID), undefined, config, network);
    throw missing(host, config, network, `there is no PCI or auxiliary device ${deviceID}`);
  }
  if (device !== undefined) return found(host.link({ name: device }), undefined, host, config, network);
  if (hwaddr !== undefined) {
    // A macvlan or VLAN may share the MAC of the NIC below it: the NIC is meant.
    const same = host.links().filter((link) => link.mac === hwaddr);
    const link = same.find((one) => one.parentIndex === undefined) ?? same[0];
    return found(link, undefined, host, config, network);
  }
  if (kernelpath !== undefined)
    return firstOf(host, sysfs.netdevsOfPath(kernelpath), undefined, config, network);
  return byPci(host, sysfs, pciBusID ?? '', config, network);
}

function byPci(
  host: Namespace,
  sysfs: Sysfs,
  pci: string,
  config: HostDeviceConfig,
  network: string,
): Located {
  if (!sysfs.hasPciDevice(pci)) throw missing(host, config, network, `there is no PCI device ${pci}`);
  const driver = sysfs.driverOfPci(pci);
  if (driver === undefined)
    throw new ManifoldError('not-found', `Cannot take PCI device ${pci}: it is bound to no driver`, {
      hint: `Bind it to its network driver, or to vfio-pci for use in user space; see /sys/bus/pci/devices/${pci}.`,
    });
  if (USER_SPACE_DRIVERS.has(driver)) return { kind: 'user-space', pci, driver };
  return firstOf(host, sysfs.netdevsOfPci(pci), pci, config, network);
}

function firstOf(
  host: Namespace,
  names: readonly string[],
  pci: string | undefined,
  config: HostDeviceConfig,
  network: string,
): Located {
  const name = names[0];
  return found(name === undefined ? undefined : host.link({ name }), pci, host, config, network);
}

function found(
  link: Link | undefined,
  pci: string | undefined,
  host: Namespace,
  config: HostDeviceConfig,
  network: string,
): Located {
  if (link === undefined) throw missing(host, config, network, 'the host has no such interface');
  return { kind: 'link', link, pci: pci ?? (link.device?.bus === 'pci' ? link.device.name : undefined) };
}

function missing(host: Namespace, config: HostDeviceConfig, network: string, why: string): ManifoldError {
  const names = host
    .links()
    .filter((link) => !link.loopback)
    .map((link) => link.name);
  return new ManifoldError('not-found', `Cannot find ${describeSelector(config)}: ${why}`, {
    hint: `This host has: ${names.join(', ') || 'no interface'}. A device in use by another pod is in that pod's namespace. Mend network ${network} or the node's cabling.`,
  });
}
