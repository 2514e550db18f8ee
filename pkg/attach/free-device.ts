// A device that has a record: who holds it, and whether that is still true.
import type { AttachmentCall, Call } from '../cni/plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import type { InterfaceRecord, NodeStore } from '../state/node-store.ts';
import type { ManifoldConfig } from './attach-interface.ts';
import { type AttachDeps, describePod } from './deps.ts';
import { clearRecord, isAbandoned } from './leftovers.ts';
import type { Retract } from './retract.ts';

/**
 * Returns when the device is nobody's. What a dead ADD or a vanished namespace still holds is brought back first, by
 * `retract`; without it (STATUS) nothing is changed, and such a device counts as free.
 * @param plugin the one that asks
 * @param what the device in words: "PCI device 0000:3b:00.2"
 * @throws ManifoldError 'device-held' naming the holder; 'exists' when it is this very container
 */
export function freeDevice(
  deps: AttachDeps,
  store: NodeStore,
  call: Call<ManifoldConfig> | AttachmentCall<ManifoldConfig>,
  plugin: string,
  holder: InterfaceRecord,
  what: string,
  retract: Retract | undefined,
): void {
  const abandoned = isAbandoned(deps, store, holder);
  // What another plugin has done only that plugin can take back.
  if (abandoned && holder.plugin === plugin)
    if (retract === undefined || clearRecord(deps, store, holder, call.log, retract)) return;
  if ('containerId' in call && call.containerId === holder.containerId && call.network === holder.network)
    throw new ManifoldError(
      'exists',
      `Cannot take ${what}: ${describePod(holder.pod, holder.containerId)} has it already, as ${holder.ifname}`,
      { hint: 'An earlier ADD of this container attached it. The runtime must call DEL first.' },
    );
  throw new ManifoldError(
    'device-held',
    `Cannot take ${what}: ${describePod(holder.pod, holder.containerId)} has it as ${holder.ifname}`,
    {
      hint: abandoned
        ? `Nobody uses it any more, and ${holder.plugin} could not yet put it back: the runtime's DEL or GC of network ${holder.network} does.`
        : 'One device serves one pod. Ask for it through a device plugin, or name another one for this pod.',
    },
  );
}
