// Finds the device that a configuration names: an interface of the host, or a PCI device without one because a
// user-space driver has it.

import { deviceKey } from '../../pkg/attach/saved-device.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link, Namespace } from '../../pkg/kernel/kernel.ts';
import { mainNetdev, type Netdev, portOf } from '../../pkg/pci/netdev.ts';
import { isUserSpaceDriver, type PciDevice } from '../../pkg/pci/pci-device.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import { describeSelector, type HostDeviceConfig } from './config.ts';

export type Located = {
  /** Lets the device have one holder only. */
  readonly key: string;
} & (
  | { readonly kind: 'link'; readonly link: Link; readonly pci: PciDevice | undefined }
  | { readonly kind: 'user-space'; readonly pci: PciDevice; readonly driver: string }
);

/** @throws ManifoldError 'not-found', saying what the host has, or that the PCI device has no driver */
export function locateDevice(
  host: Namespace,
  sysfs: Sysfs,
  config: HostDeviceConfig,
  network: string,
): Located {
  const { device, hwaddr, kernelpath, pciBusID, runtimeConfig } = config;
  const found = (link: Link | undefined, pci?: PciDevice) => {
    if (link === undefined) throw missing(host, config, network, 'the host has no such interface');
    return locatedLink(sysfs, link, pci);
  };
  const named = (netdev: Netdev | undefined) =>
    netdev === undefined ? undefined : host.link({ name: netdev.name });
  const byPci = (address: string, pci: PciDevice | undefined): Located => {
    if (pci === undefined) throw missing(host, config, network, `there is no PCI device ${address}`);
    if (pci.driver === undefined) throw driverless(pci);
    if (isUserSpaceDriver(pci.driver))
      return { key: `pci:${pci.address}`, kind: 'user-space', pci, driver: pci.driver };
    return found(named(mainNetdev(pci.netdevs) ?? pci.netdevs[0]), pci);
  };
  const deviceID = runtimeConfig?.deviceID;
  if (deviceID !== undefined) {
    const pci = sysfs.pci(deviceID);
    if (pci !== undefined) return byPci(deviceID, pci);
    const auxiliary = sysfs.auxiliary(deviceID);
    if (auxiliary === undefined)
      throw missing(host, config, network, `there is no PCI or auxiliary device ${deviceID}`);
    return found(named(mainNetdev(auxiliary.netdevs)));
  }
  if (device !== undefined) return found(host.link({ name: device }));
  if (hwaddr !== undefined) {
    // A macvlan or VLAN may share the MAC of the NIC below it: the NIC is meant.
    const same = host.links().filter((link) => link.mac === hwaddr);
    return found(same.find((one) => one.parentIndex === undefined) ?? same[0]);
  }
  if (kernelpath !== undefined) {
    const netdevs = sysfs.netdevsOfPath(kernelpath);
    return found(named(mainNetdev(netdevs) ?? netdevs[0]));
  }
  return byPci(pciBusID ?? '', sysfs.pci(pciBusID ?? ''));
}

function locatedLink(sysfs: Sysfs, link: Link, known: PciDevice | undefined): Located {
  const pci = known ?? (link.device?.bus === 'pci' ? sysfs.pci(link.device.name) : undefined);
  const netdev = sysfs.netdev(link.name);
  return { key: deviceKey(link, netdev === undefined ? '' : portOf(netdev)), kind: 'link', link, pci };
}

function driverless({ address }: PciDevice): ManifoldError {
  return new ManifoldError('not-found', `Cannot take PCI device ${address}: it is bound to no driver`, {
    hint: `Bind it to its network driver, or to vfio-pci for use in user space; see /sys/bus/pci/devices/${address}.`,
  });
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
