// The device that a configuration names, free to be taken, or who has it.
import type { AttachDeps } from '../../pkg/attach/deps.ts';
import { freeDevice } from '../../pkg/attach/free-device.ts';
import type { Retract } from '../../pkg/attach/retract.ts';
import { readSaved } from '../../pkg/attach/saved-device.ts';
import type { AttachmentCall, Call } from '../../pkg/cni/plugin.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import type { InterfaceRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { describeSelector, type HostDeviceConfig, requireSelector } from './config.ts';
import { type Located, locateDevice } from './locate.ts';

/**
 * @param retract brings back what a dead ADD or a vanished namespace still holds; undefined: nothing is changed
 * @throws ManifoldError 'device-held' naming the holder; 'not-found' when there is no such device
 */
export function locateFree(
  deps: AttachDeps & { readonly sysfs: Sysfs },
  call: Call<HostDeviceConfig> | AttachmentCall<HostDeviceConfig>,
  retract: Retract | undefined,
): Located {
  requireSelector(call.config);
  const store = deps.openStore(call.config.manifold);
  const what = describeSelector(call.config);
  const look = () => locateDevice(deps.kernel.host(), deps.sysfs, call.config, call.network);
  let located: Located;
  try {
    located = look();
  } catch (error) {
    if (!isManifoldError(error, 'not-found')) throw error;
    const holder = holderOf(store, call.config);
    if (holder === undefined) throw error;
    freeDevice(deps, store, call, 'host-device', holder, what, retract);
    return look();
  }
  const holder = store.interfaces.byDevice(located.key);
  if (holder === undefined) return located;
  freeDevice(deps, store, call, 'host-device', holder, what, retract);
  return look();
}

function holderOf(store: NodeStore, config: HostDeviceConfig): InterfaceRecord | undefined {
  const pci = (config.runtimeConfig?.deviceID ?? config.pciBusID)?.toLowerCase();
  return store.interfaces.all().find((record) => {
    const host = readSaved(record.saved)?.host;
    if (host === undefined) return false;
    if (config.device !== undefined && (host.name === config.device || host.altnames.includes(config.device)))
      return true;
    if (config.hwaddr !== undefined && host.mac === config.hwaddr) return true;
    return pci !== undefined && host.bus?.endsWith(`/${pci}`) === true;
  });
}
