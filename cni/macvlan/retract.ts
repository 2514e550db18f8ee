// Takes a macvlan out of a pod: by the index that ADD wrote down, since a pod may rename its interface; else by name.
import type { RetractTarget } from '../../pkg/attach/retract.ts';

/** Another kind of link under the name is not ours and stays. */
export function retractMacvlan({ ifname, record, pod, log }: RetractTarget): string[] {
  if (pod === undefined) return [];
  const index = record?.saved.index;
  const link = (typeof index === 'number' ? pod.link({ index }) : undefined) ?? pod.link({ name: ifname });
  if (link === undefined) return [];
  if (link.kind !== 'macvlan') {
    log.warn('left alone: not a macvlan', { ifname, kind: link.kind ?? 'hardware' });
    return [];
  }
  pod.deleteLinks([link.index]);
  return [];
}
