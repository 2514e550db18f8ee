// Takes a macvlan out of a pod: by the index that ADD wrote down, since a pod may rename its interface; else by name.
import type { RetractTarget } from '../../pkg/attach/retract.ts';

/** Another kind of link under the name is not ours and stays. */
export function retractMacvlan({ ifname, record, pod, log }: RetractTarget): string[] {
  if (pod === undefined) return [];
  const index = record?.saved.index;
  // With an index written down, a link that has only the name is another's: made since, by another call.
  const link = pod.link(typeof index === 'number' ? { index } : { name: ifname });
  if (link === undefined) return [];
  if (link.kind !== 'macvlan') {
    log.warn('left alone: not a macvlan', { ifname, kind: link.kind ?? 'hardware' });
    return [];
  }
  pod.deleteLinks([link.index]);
  return [];
}
