// Deletes the links that our own plugins made in a pod, all at once: each deletion waits for the kernel's RCU, and
// eight one by one take six times as long as eight by link group. The plugins' DEL then finds nothing and only releases.
import type { Namespace } from '../pkg/kernel/kernel.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import { networkNameOf } from './journal.ts';
import { pluginsOf } from './network.ts';

/** Kinds of link that exist only for the pod: to delete one loses nothing. */
const KIND_OF_PLUGIN: Readonly<Record<string, string>> = { macvlan: 'macvlan' };

/** Indexes of the links of these attachments that are beyond doubt ours: by record, index, name and kind. */
export function linksToReap(
  store: NodeStore,
  records: readonly AttachmentRecord[],
  pod: Namespace,
): number[] {
  return records.flatMap((record) => {
    // A plugin later in a list may want to find the interface at its own DEL.
    if (pluginsOf(record.config).length !== 1) return [];
    const made = store.interfaces.get({ ...record, network: networkNameOf(record) });
    const kind = made === undefined ? undefined : KIND_OF_PLUGIN[made.plugin];
    if (made === undefined || kind === undefined || made.netnsId !== pod.id) return [];
    const { index } = made.saved;
    const link = typeof index === 'number' ? pod.link({ index }) : undefined;
    return link?.kind === kind && link.name === record.ifname ? [link.index] : [];
  });
}
