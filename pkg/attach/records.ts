// The life of an interface's record in the node's store: finished with its leases, or forgotten.
import { isManifoldError } from '../errors/manifold-error.ts';
import type { Logger } from '../log/logger.ts';
import type { ClusterLeaseRecord, InterfaceRecord, LeaseRecord, NodeStore } from '../state/node-store.ts';
import { deferRelease } from '../state/spool.ts';

/**
 * In one transaction: the interface is added, and the addresses that its ADD claimed are held.
 * @throws ManifoldError 'try-later' when another call took the record away meanwhile
 */
export function finishRecord(store: NodeStore, record: InterfaceRecord): void {
  store.transaction(() => {
    store.interfaces.finish({ ...record, state: 'added' });
    const isClaimed = ({ ifname, network, state }: LeaseRecord | ClusterLeaseRecord) =>
      ifname === record.ifname && network === record.network && state === 'claimed';
    for (const lease of store.leases.ofContainer(record.containerId).filter(isClaimed))
      store.leases.put({ ...lease, state: 'held' });
    for (const lease of store.clusterLeases.ofContainer(record.containerId).filter(isClaimed))
      store.clusterLeases.update({ ...lease, state: 'held' });
  });
}

/**
 * Removes a record, unless another call has put its own in its place. When the store cannot be written (disk full, read-only), the wish is written to the run directory
 * and carried out by the next process that can.
 * @throws ManifoldError 'try-later' when neither can be written
 */
export function forgetRecord(store: NodeStore, record: InterfaceRecord, runDir: string, log: Logger): void {
  try {
    store.interfaces.removeOwn(record);
  } catch (error) {
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
    log.warn('store cannot be written: release is carried out later', { reason: error.message });
    const { containerId, ifname, network } = record;
    const intent = { stateDir: store.directory, containerId, ifname, network, only: 'interfaces' } as const;
    deferRelease(runDir, intent, error.message);
  }
}
