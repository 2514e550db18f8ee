// What a host-device network configuration may say: the keys of the reference plugin, validated.
import * as v from 'valibot';
import { deviceId, ipamKey, linkName, pciAddress } from '../../pkg/attach/config-keys.ts';
import { deviceInfoFile } from '../../pkg/attach/device-info.ts';
import { macSchema } from '../../pkg/attach/mac-schema.ts';
import { RDMA_WISHES } from '../../pkg/attach/rdma-device.ts';
import { oneOf } from '../../pkg/cni/fields.ts';
import { manifoldEntries } from '../../pkg/cni/manifold-options.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';

export const hostDeviceConfig = v.object({
  /** Name (or alternative name) of the host's interface. */
  device: v.optional(linkName(127)),
  hwaddr: v.optional(macSchema),
  /** A directory under /sys/devices/ whose net/ holds the interface. */
  kernelpath: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (path) => path.startsWith('/sys/devices/') && !path.split('/').includes('..'),
        'must be an absolute path under /sys/devices/',
      ),
    ),
  ),
  pciBusID: v.optional(pciAddress),
  ipam: ipamKey,
  runtimeConfig: v.optional(
    v.object({ deviceID: v.optional(deviceId), CNIDeviceInfoFile: v.optional(deviceInfoFile) }),
  ),
  manifold: v.optional(
    v.object({
      ...manifoldEntries,
      /** Take the device although the host uses it (default route, addresses, bridge or bond port). */
      force: v.optional(v.boolean(), false),
      rdma: v.optional(oneOf(RDMA_WISHES), 'auto'),
    }),
    {},
  ),
});

export type HostDeviceConfig = v.InferOutput<typeof hostDeviceConfig>;

/** DEL needs none: it goes by the record. @throws ManifoldError 'bad-config' when no key names a device */
export function requireSelector({
  device,
  hwaddr,
  kernelpath,
  pciBusID,
  runtimeConfig,
}: HostDeviceConfig): void {
  if ([device, hwaddr, kernelpath, pciBusID, runtimeConfig?.deviceID].some((value) => value !== undefined))
    return;
  throw new ManifoldError(
    'bad-config',
    'Cannot use the network configuration as it must name the device by one of device, hwaddr, kernelpath, pciBusID or runtimeConfig.deviceID',
  );
}

/** The selector that counts, in words: runtimeConfig first, then the reference plugin's order. */
export function describeSelector(config: HostDeviceConfig): string {
  const { device, hwaddr, kernelpath, pciBusID, runtimeConfig } = config;
  if (runtimeConfig?.deviceID !== undefined) return `device ${runtimeConfig.deviceID}`;
  if (device !== undefined) return `interface ${device}`;
  if (hwaddr !== undefined) return `the interface with MAC ${hwaddr}`;
  if (kernelpath !== undefined) return `the interface of ${kernelpath}`;
  return `PCI device ${pciBusID ?? ''}`;
}
