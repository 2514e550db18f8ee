// What macvlan a configuration asks for. Pure.
import { derivedMac } from '../../pkg/ip/mac.ts';
import type { Link, NewMacvlan } from '../../pkg/kernel/kernel.ts';
import type { MacvlanConfig } from './config.ts';

/** `mac` undefined: whatever the kernel has. */
export function wantedMacvlan(
  config: MacvlanConfig,
  parent: Link,
  name: string,
  mac: string | undefined,
): NewMacvlan {
  return {
    name,
    parentIndex: parent.index,
    mode: config.mode,
    ...(mac === undefined ? {} : { mac }),
    ...(config.mtu === 0 ? {} : { mtu: config.mtu }),
    ...(config.bcqueuelen === 0 ? {} : { bcQueueLength: config.bcqueuelen }),
  };
}

/**
 * The MACs to try, in order, when nobody asked for one. The first is the same for every sandbox of a pod, so that
 * the neighbours' caches survive a restart; the others serve while an older sandbox still has it.
 * A passthru macvlan shares its parent's MAC: none is set.
 */
export function macCandidates(
  config: MacvlanConfig,
  requested: string | undefined,
  who: {
    readonly podUid: string | undefined;
    readonly containerId: string;
    readonly ifname: string;
    readonly network: string;
  },
): (string | undefined)[] {
  if (requested !== undefined) return [requested];
  if (config.mode === 'passthru') return [undefined];
  const of = (owner: string) => derivedMac(`${owner}/${who.network}/${who.ifname}`);
  return [
    ...(who.podUid === undefined ? [] : [of(who.podUid)]),
    of(who.containerId),
    of(`${who.containerId}#2`),
  ];
}
