// What sysfs says of devices: which network interfaces a PCI or auxiliary device has, and which driver.
// sysfs shows the interfaces of the namespace that it was mounted in: those of the host.
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, normalize } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';

export interface Sysfs {
  /** A PCI address: "0000:3b:00.2". */
  hasPciDevice(address: string): boolean;
  /** The name of an auxiliary device (a scalable function): "mlx5_core.sf.4". */
  hasAuxiliaryDevice(name: string): boolean;
  /** Names by alphabet; of a virtio device those of the virtio function below it. Empty for a missing device. */
  netdevsOfPci(address: string): string[];
  netdevsOfAuxiliary(name: string): string[];
  /** @param path absolute, below /sys/devices/ @throws ManifoldError 'bad-config' for any other path */
  netdevsOfPath(path: string): string[];
  /** "mlx5_core", "vfio-pci"; undefined when no driver is bound or there is no such device. */
  driverOfPci(address: string): string | undefined;
}

/** @param root where sysfs is mounted */
export function createSysfs(root = '/sys'): Sysfs {
  const pci = (address: string) => `${root}/bus/pci/devices/${address}`;
  const auxiliary = (name: string) => `${root}/bus/auxiliary/devices/${name}`;
  return {
    hasPciDevice: (address) => isFileName(address) && exists(pci(address)),
    hasAuxiliaryDevice: (name) => isFileName(name) && exists(auxiliary(name)),
    netdevsOfPci(address) {
      if (!isFileName(address)) return [];
      const own = list(`${pci(address)}/net`);
      if (own.length > 0) return own;
      const virtio = list(pci(address)).filter((name) => name.startsWith('virtio'));
      return virtio.flatMap((name) => list(`${pci(address)}/${name}/net`));
    },
    netdevsOfAuxiliary: (name) => (isFileName(name) ? list(`${auxiliary(name)}/net`) : []),
    netdevsOfPath(path) {
      const clean = normalize(path);
      if (!clean.startsWith('/sys/devices/')) {
        throw new ManifoldError(
          'bad-config',
          `Cannot use kernelpath "${path}": it must be below /sys/devices/`,
        );
      }
      return list(`${root}${clean.slice('/sys'.length)}/net`);
    },
    driverOfPci(address) {
      if (!isFileName(address)) return undefined;
      const target = ifThere(() => readlinkSync(`${pci(address)}/driver`));
      return target === undefined ? undefined : basename(target);
    },
  };
}

/** Device names come from users: none may lead out of its directory. */
function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

function list(directory: string): string[] {
  return ifThere(() => readdirSync(directory).sort()) ?? [];
}

function exists(path: string): boolean {
  return ifThere(() => statSync(path)) !== undefined;
}

/** @returns undefined when the file is missing, or goes away (ENODEV) while it is read */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV') return undefined;
    throw error;
  }
}
