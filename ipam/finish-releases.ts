// What earlier calls on this node could not finish: leases whose DEL is done but whose objects are not ended, claims of
// processes that died.
import { type ErrorCode, isManifoldError } from '../pkg/errors/manifold-error.ts';
import { isSameCluster } from '../pkg/kube/cluster-identity.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { isAbandoned } from './abandoned.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { clusterOf, sayElsewhere } from './cluster-of.ts';
import { endRow, markReleasing } from './end-lease.ts';

/** There is no use in trying the others. */
const ALL_ALIKE: readonly ErrorCode[] = ['try-later'];

/**
 * Ends at most `limit` of them, one after the other, going on past as many that are refused, and forgets what has
 * rested for its owner long enough. A release that another live process is at is left to it, and one of another
 * cluster to a call that names that.
 * @returns how many were ended
 * @throws KubeError the first failure: at once when the API server cannot be reached, else after the others
 */
export async function finishReleases(deps: ClusterDeps, limit: number, signal: AbortSignal): Promise<number> {
  forgetRested(deps);
  let ended = 0;
  let failure: unknown;
  let refused = 0;
  const cluster = await clusterOf(deps.client);
  const { here = [], elsewhere = [] } = Object.groupBy(waiting(deps), (row) =>
    isSameCluster(row.cluster, cluster) ? 'here' : 'elsewhere',
  );
  sayElsewhere(deps, elsewhere);
  for (const row of inTurn(deps, here)) {
    if (ended >= limit || refused >= limit) break;
    const [marked] = markIfStillWaiting(deps, row);
    if (marked === undefined) continue;
    try {
      deps.step?.('finish release');
      await endRow(deps, marked, signal);
      ended++;
    } catch (error) {
      if (!isManifoldError(error) || ALL_ALIKE.includes(error.code)) throw error;
      failure ??= error;
      refused++;
    }
  }
  if (failure !== undefined) throw failure;
  return ended;
}

function waiting(deps: ClusterDeps): ClusterLeaseRecord[] {
  const rows = deps.store.clusterLeases.inState('releasing', 'claiming', 'claimed');
  return rows.filter((row) => isWaiting(deps, row));
}

function inTurn({ client }: ClusterDeps, rows: readonly ClusterLeaseRecord[]): ClusterLeaseRecord[] {
  // Beginning elsewhere each time: what is refused for ever does not keep those behind it from their end.
  const first = rows.length === 0 ? 0 : Math.floor(client.now()) % rows.length;
  return [...rows.slice(first), ...rows.slice(0, first)];
}

function isWaiting({ store, kernel }: ClusterDeps, row: ClusterLeaseRecord): boolean {
  if (row.state !== 'releasing') return isAbandoned(store, kernel, row);
  return row.writer.pid === store.writer.pid || !store.isAlive(row.writer);
}

function markIfStillWaiting(deps: ClusterDeps, { name }: ClusterLeaseRecord): ClusterLeaseRecord[] {
  const { store } = deps;
  return store.transaction(() => {
    const row = store.clusterLeases.get(name);
    if (row === undefined || row.state === 'held' || row.state === 'resting') return [];
    return isWaiting(deps, row) ? markReleasing(deps, [row]) : [];
  });
}

function forgetRested({ store, client }: ClusterDeps): void {
  const over = store.clusterLeases.inState('resting').filter(({ until = 0 }) => until <= client.now());
  if (over.length === 0) return;
  store.transaction(() => {
    for (const { name } of over) {
      const row = store.clusterLeases.get(name);
      if (row?.state === 'resting' && (row.until ?? 0) <= client.now()) store.clusterLeases.remove(row);
    }
  });
}
