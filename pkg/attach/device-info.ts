// Device information files: what a plugin tells the pod of its device (NPWG Device Information Specification 1.1).
import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { pid } from 'node:process';
import * as v from 'valibot';
import type { JsonObject } from '../cni/plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import { isSystemError } from '../kernel/system-error.ts';
import type { PciDevice } from '../pci/pci-device.ts';
import type { Retract } from './retract.ts';

/** Section 4.2. A definition is written by a tenant and runs as root: no file stands elsewhere. */
const DIRECTORIES = ['/var/run/k8s.cni.cncf.io/devinfo/cni', '/run/k8s.cni.cncf.io/devinfo/cni'];

/** The value of runtimeConfig.CNIDeviceInfoFile. */
export const deviceInfoFile = v.pipe(
  v.string('must be a string'),
  v.check(
    (path) => normalize(path) === path && DIRECTORIES.includes(dirname(path)) && !path.includes('\0'),
    `must name a file in ${DIRECTORIES[0]}`,
  ),
);

/** What a record says of the file; empty when the plugin is asked for none. */
export const savedDeviceInfo = (path: string | undefined): { readonly deviceInfo?: string } =>
  path === undefined ? {} : { deviceInfo: path };

/** Section 3. @param representor its name on the host, where the embedded switch has one */
export function pciDeviceInfo(pci: PciDevice, representor?: string): JsonObject {
  const [rdmaDevice] = pci.rdmaDevices;
  return {
    type: 'pci',
    version: '1.1.0',
    pci: {
      'pci-address': pci.address,
      ...(pci.physicalFunction === undefined ? {} : { 'pf-pci-address': pci.physicalFunction }),
      ...(rdmaDevice === undefined ? {} : { 'rdma-device': rdmaDevice }),
      ...(representor === undefined ? {} : { 'representor-device': representor }),
    },
  };
}

/**
 * A file that is there is a device plugin's, copied by the meta plugin, and stays as it is (section 5.1.2).
 * @throws ManifoldError 'io'
 */
export function writeDeviceInfo(path: string | undefined, info: JsonObject): void {
  if (path === undefined) return;
  // As a whole or not at all: readers do not wait for a writer.
  const draft = join(dirname(path), `.${basename(path)}.${pid}`);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(draft, `${JSON.stringify(info)}\n`, { mode: 0o644 });
    linkSync(draft, path);
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return;
    if (!isSystemError(error)) throw error;
    throw new ManifoldError('io', `Cannot write device information to ${path}: ${error.code}`, {
      cause: error,
      hint: 'The network asks for it by the capability CNIDeviceInfoFile.',
    });
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes the file with the rest. */
export function retractDeviceInfo(retract: Retract): Retract {
  return (target) => {
    const problems = retract(target);
    const path = target.record?.saved.deviceInfo;
    // A record is ours, but a file of the disk: its path is held to the same rule again.
    if (v.is(deviceInfoFile, path)) rmSync(path, { force: true });
    return problems;
  };
}
