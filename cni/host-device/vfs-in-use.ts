// A physical function that goes to a pod takes its wire with it: the virtual ones must not be in use.
import { describePod } from '../../pkg/attach/deps.ts';
import { isUserSpaceDriver } from '../../pkg/pci/pci-device.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';

/** The virtual functions that somebody has, in words; empty for a device that has none in use. */
export function vfsInUse(sysfs: Sysfs, store: NodeStore, address: string): string[] {
  return sysfs.virtualFunctions(address).flatMap((vf) => {
    const holder = store.interfaces.byDevice(`pci:${vf.address}`);
    if (holder !== undefined)
      return [`${vf.address} (${describePod(holder.pod, holder.containerId)}, ${holder.ifname})`];
    const { driver, netdevs = [] } = sysfs.pci(vf.address) ?? {};
    if (driver === undefined) return [];
    if (isUserSpaceDriver(driver)) return [`${vf.address} (${driver})`];
    return netdevs.length === 0 ? [`${vf.address} (in another namespace)`] : [];
  });
}
