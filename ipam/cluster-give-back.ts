// A claim that failed leaves everything as it was before: what it had newly got is ended, what its owner had is its own.
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import { isSameCluster } from '../pkg/kube/cluster-identity.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import type { Changed } from './cluster-intent.ts';
import { endRow, markReleasing } from './end-lease.ts';

/**
 * Throws nothing that would stand in for the claim's own failure.
 * @param before the rows that the claim has changed, as they were
 */
export async function giveBack(deps: ClusterDeps, before: ReadonlyMap<string, Changed>): Promise<void> {
  if (before.size === 0) return;
  try {
    deps.step?.('give back');
    const ended = undo(deps, before);
    const signal = AbortSignal.timeout(DEADLINE_MS.giveBack);
    const failures = (await Promise.allSettled(ended.map((row) => endRow(deps, row, signal)))).flatMap(
      (one) => (one.status === 'rejected' ? [one.reason] : []),
    );
    for (const failure of failures) later(deps, failure);
  } catch (error) {
    later(deps, error);
  }
}

/** @returns the rows whose objects are to be ended */
function undo(deps: ClusterDeps, before: ReadonlyMap<string, Changed>): ClusterLeaseRecord[] {
  const { store } = deps;
  return store.transaction(() => {
    const newlyGot: ClusterLeaseRecord[] = [];
    for (const [name, { was, row: written }] of before) {
      const row = store.clusterLeases.get(name);
      if (row === undefined || row.state === 'releasing') continue;
      // Another call of this owner has made it its own meanwhile.
      if (row.writer.pid !== store.writer.pid || row.containerId !== written.containerId) continue;
      // What its owner had in another cluster has made way in the table: there it is held still.
      const wasHere = was !== undefined && isSameCluster(was.cluster, row.cluster);
      if (!wasHere || was.state === 'resting') newlyGot.push(row);
      else store.clusterLeases.update({ ...was, ...(row.object !== undefined && { object: row.object }) });
    }
    return markReleasing(deps, newlyGot);
  });
}

function later({ log }: ClusterDeps, failure: unknown): void {
  if (!isManifoldError(failure)) throw failure;
  log?.warn('leases are to be ended later', { reason: failure.message });
}
