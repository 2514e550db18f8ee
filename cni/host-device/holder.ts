// A device that is not on the host, or is spoken for: who has it, and whether that is still true.
import type { AttachDeps } from '../../pkg/attach/deps.ts';
import { describePod } from '../../pkg/attach/deps.ts';
import { clearRecord, isAbandoned } from '../../pkg/attach/leftovers.ts';
import type { Retract } from '../../pkg/attach/retract.ts';
import type { AttachmentCall, Call } from '../../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Sysfs } from '../../pkg/kernel/sysfs.ts';
import type { InterfaceRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { describeSelector, type HostDeviceConfig, requireSelector } from './config.ts';
import { type Located, locateDevice } from './locate.ts';
import { deviceKey, readSaved } from './saved-device.ts';

/**
 * The device, free to be taken. What a dead ADD or a vanished namespace still holds is brought back first, by `retract`;
 * without it (STATUS) nothing is changed, and such a device counts as free.
 * @throws ManifoldError 'device-held' naming the holder; 'not-found' when there is no such device
 */
export function locateFree(
  deps: AttachDeps & { readonly sysfs: Sysfs },
  call: Call<HostDeviceConfig> | AttachmentCall<HostDeviceConfig>,
  retract: Retract | undefined,
): Located {
  requireSelector(call.config);
  const store = deps.openStore(call.config.manifold);
  const look = () => locateDevice(deps.kernel.host(), deps.sysfs, call.config, call.network);
  let located: Located;
  try {
    located = look();
  } catch (error) {
    if (!isManifoldError(error, 'not-found')) throw error;
    const holder = holderOf(store, call.config);
    if (holder === undefined) throw error;
    freeOrRefuse(deps, store, call, holder, retract);
    return look();
  }
  const key = located.kind === 'link' ? deviceKey(located.link) : `pci:${located.pci}`;
  const holder = store.interfaces.byDevice(key);
  if (holder === undefined) return located;
  freeOrRefuse(deps, store, call, holder, retract);
  return look();
}

function holderOf(store: NodeStore, config: HostDeviceConfig): InterfaceRecord | undefined {
  const pci = config.runtimeConfig?.deviceID ?? config.pciBusID;
  return store.interfaces.all().find((record) => {
    const host = readSaved(record.saved)?.host;
    if (host === undefined) return false;
    if (config.device !== undefined && (host.name === config.device || host.altnames.includes(config.device)))
      return true;
    if (config.hwaddr !== undefined && host.mac === config.hwaddr) return true;
    return pci !== undefined && host.bus?.endsWith(`/${pci}`) === true;
  });
}

function freeOrRefuse(
  deps: AttachDeps,
  store: NodeStore,
  call: Call<HostDeviceConfig> | AttachmentCall<HostDeviceConfig>,
  holder: InterfaceRecord,
  retract: Retract | undefined,
): void {
  const abandoned = isAbandoned(deps, store, holder);
  if (abandoned && (retract === undefined || clearRecord(deps, store, holder, call.log, retract))) return;
  if ('containerId' in call && call.containerId === holder.containerId && call.network === holder.network)
    throw new ManifoldError(
      'exists',
      `Cannot take ${describeSelector(call.config)}: ${describePod(holder.pod, holder.containerId)} has it already, as ${holder.ifname}`,
      { hint: 'An earlier ADD of this container attached it. The runtime must call DEL first.' },
    );
  throw new ManifoldError(
    'device-held',
    `Cannot take ${describeSelector(call.config)}: ${describePod(holder.pod, holder.containerId)} has it as ${holder.ifname}`,
    {
      hint: 'One device serves one pod. Ask for it through a device plugin, or name another one for this pod.',
    },
  );
}
