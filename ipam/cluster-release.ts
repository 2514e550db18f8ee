// DEL and GC over the cluster's leases: marked on the node first, so that whatever happens to the API server or to this
// process, somebody ends them.
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import { endRow, markReleasing } from './end-lease.ts';
import { finishReleases } from './finish-releases.ts';

/** How many leases that other calls left are ended beside a release. */
const DRAINED_BESIDE = 4;

/**
 * Ends the leases of these rows, or leaves them marked where the API server is away.
 * @param rows read again inside the transaction
 * @throws ManifoldError 'state', 'try-later' only when the node's store cannot be written
 */
export async function releaseRows(deps: ClusterDeps, rows: () => ClusterLeaseRecord[]): Promise<void> {
  // Read first: a DEL of what holds nothing needs no store that can be written.
  if (rows().length === 0) return;
  const marked = deps.store.transaction(() => markReleasing(deps, rows()));
  deps.step?.('marked as releasing');
  const signal = AbortSignal.timeout(patienceFor(deps.client));
  const settled = await Promise.allSettled(marked.map((row) => endRow(deps, row, signal)));
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  for (const failure of failures) later(deps, failure);
  if (failures.some((failure) => isManifoldError(failure, 'try-later')))
    awaySince.set(deps.client, performance.now());
  if (failures.length > 0) return;
  try {
    await finishReleases(
      deps,
      DRAINED_BESIDE,
      AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS.drain)]),
    );
  } catch (error) {
    later(deps, error);
  }
}

/** When a release of this process last found the API server away: a pod's other networks need not wait as long again. */
const awaySince = new WeakMap<KubeClient, number>();
const AWAY_MS = 30_000;

const patienceFor = (client: KubeClient): number =>
  performance.now() - (awaySince.get(client) ?? Number.NEGATIVE_INFINITY) < AWAY_MS
    ? DEADLINE_MS.releaseAgain
    : DEADLINE_MS.release;

function later({ log }: ClusterDeps, failure: unknown): void {
  if (!isManifoldError(failure)) throw failure;
  log?.warn('leases are to be ended later', { reason: failure.message });
}
