// The addresses of all attachments of a pod, claimed in one transaction before the first interface is made.
import type { AddCall } from '../pkg/cni/plugin.ts';
import { deriveConfig } from '../pkg/cni/run-list.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { listOfRecord, placeOf } from './journal.ts';
import { ipamTypeOf } from './network.ts';

export const OUR_IPAM = 'manifold-ipam';

export function claimAddresses(
  _deps: MetaDeps,
  _call: AddCall<MetaConfig>,
  _store: NodeStore,
  records: readonly AttachmentRecord[],
): void {
  for (const record of records) {
    const list = listOfRecord(record);
    const { capabilityArgs } = placeOf(record, record.netns, []);
    for (const plugin of list.plugins) {
      if (ipamTypeOf(plugin.config) === OUR_IPAM) deriveConfig(list, plugin, { capabilityArgs });
    }
  }
}

/** Frees what was claimed for an attachment whose plugins were never called. */
export function releaseClaims(store: NodeStore, record: AttachmentRecord, now: number): void {
  for (const lease of store.leases.ofContainer(record.containerId)) {
    if (lease.ifname === record.ifname && lease.state === 'claimed')
      store.leases.put({ ...lease, state: 'resting', released: now });
  }
}
