// What sysfs says of devices, as typed values: the one place that knows its paths.
// sysfs shows the interfaces of the namespace that it was mounted in: those of the host.
import { realpathSync } from 'node:fs';
import { normalize } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';
import { bindDriver } from './bind-driver.ts';
import { exists, ifThere, isFileName, list, readLinkName, readNumber, readText } from './files.ts';
import { type Netdev, readNetdev, readNetdevs } from './netdev.ts';
import { isPciAddress, type PciDevice, readPciDevice, readVfSlots, type VfSlot } from './pci-device.ts';
import { type RdmaGid, readGids } from './rdma-gids.ts';

/** A device on the auxiliary bus: a scalable function, "mlx5_core.sf.4". */
export interface AuxiliaryDevice {
  readonly name: string;
  readonly driver: string | undefined;
  readonly netdevs: readonly Netdev[];
  readonly rdmaDevices: readonly string[];
  /** Address of the PCI function that it is a part of. */
  readonly parent: string | undefined;
  readonly sfNumber: number | undefined;
}

export interface Sysfs {
  /** @param address in any case; undefined when there is no such device */
  pci(address: string): PciDevice | undefined;
  /** All of this machine, by alphabet. */
  pciAddresses(): string[];
  /** Of a physical function, in order of their numbers; empty for any other device. */
  virtualFunctions(address: string): VfSlot[];
  /** Addresses of the other functions of the same card: of a VF those of its PF, of a PF those of its slot. */
  siblings(address: string): string[];
  auxiliary(name: string): AuxiliaryDevice | undefined;
  /** An interface of the host by name. */
  netdev(name: string): Netdev | undefined;
  /** Address of the PCI function that an interface of the host belongs to, through virtio or auxiliary buses too. */
  pciOfNetdev(name: string): string | undefined;
  /** @param path absolute, below /sys/devices/ @throws ManifoldError 'bad-config' for any other path */
  netdevsOfPath(path: string): Netdev[];
  /** Of a port of an RDMA device, in order of their numbers; empty where there is no such port. @param port from 1 */
  rdmaGids(device: string, port: number): RdmaGid[];
  /** Where a driver of PCI devices stands. */
  driverDirectory(driver: string): string;
  /** The driver that alone may have the device; undefined where none is set. */
  driverOverride(address: string): string | undefined;
  /**
   * Binds a PCI device to another driver. @param override what driver_override shall say then
   * @throws ManifoldError 'not-found', 'device-held' while a program has it open through VFIO, 'io'
   */
  bind(address: string, driver: string, override: string | undefined): void;
}

/** @param root where sysfs is mounted */
export function createSysfs(root = '/sys'): Sysfs {
  const pciDevices = `${root}/bus/pci/devices`;
  const directoryOf = (address: string): string | undefined => {
    const directory = `${pciDevices}/${address.toLowerCase()}`;
    return isFileName(address) && exists(directory) ? directory : undefined;
  };
  const virtualFunctions = (address: string) => {
    const directory = directoryOf(address);
    return directory === undefined ? [] : readVfSlots(directory);
  };
  const pci = (address: string) => {
    const directory = directoryOf(address);
    return directory === undefined ? undefined : readPciDevice(directory, address.toLowerCase());
  };
  return {
    pci,
    pciAddresses: () => list(pciDevices),
    virtualFunctions,
    siblings(address) {
      const own = address.toLowerCase();
      const directory = directoryOf(own);
      if (directory === undefined) return [];
      const physfn = readLinkName(`${directory}/physfn`);
      const slot = own.slice(0, own.lastIndexOf('.') + 1);
      const all =
        physfn === undefined
          ? list(pciDevices).filter((name) => name.startsWith(slot))
          : virtualFunctions(physfn).map((vf) => vf.address);
      return all.filter((name) => name !== own);
    },
    auxiliary(name) {
      const directory = `${root}/bus/auxiliary/devices/${name}`;
      if (!isFileName(name) || !exists(directory)) return undefined;
      return {
        name,
        driver: readLinkName(`${directory}/driver`),
        netdevs: readNetdevs(`${directory}/net`),
        rdmaDevices: list(`${directory}/infiniband`),
        parent: pciAbove(directory),
        sfNumber: readNumber(`${directory}/sfnum`),
      };
    },
    netdev(name) {
      const directory = `${root}/class/net`;
      return isFileName(name) && exists(`${directory}/${name}`) ? readNetdev(directory, name) : undefined;
    },
    pciOfNetdev: (name) => (isFileName(name) ? pciAbove(`${root}/class/net/${name}/device`) : undefined),
    netdevsOfPath(path) {
      const clean = normalize(path);
      if (!clean.startsWith('/sys/devices/')) {
        throw new ManifoldError(
          'bad-config',
          `Cannot use kernelpath "${path}": it must be below /sys/devices/`,
        );
      }
      return readNetdevs(`${root}${clean.slice('/sys'.length)}/net`);
    },
    rdmaGids: (device, port) =>
      isFileName(device) ? readGids(`${root}/class/infiniband/${device}/ports/${port}`) : [],
    driverDirectory: (driver) => `${root}/bus/pci/drivers/${driver}`,
    driverOverride(address) {
      const directory = directoryOf(address);
      const override = directory === undefined ? undefined : readText(`${directory}/driver_override`);
      return override === '(null)' ? undefined : override;
    },
    bind(address, driver, override) {
      const device = pci(address);
      if (device === undefined)
        throw new ManifoldError('not-found', `Cannot bind ${address} to ${driver}: there is no such device`);
      bindDriver(root, device, driver, override);
    },
  };
}

/** The nearest PCI address in where a device really stands: "…/0000:03:00.0/virtio2". */
function pciAbove(path: string): string | undefined {
  const real = ifThere(() => realpathSync(path));
  return real?.split('/').findLast(isPciAddress);
}
