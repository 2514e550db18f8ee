// Which cluster a client asks, and what is said of rows that are another's.
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import type { ClusterDeps } from './cluster-deps.ts';

/** Undefined where it cannot be told. */
export async function clusterOf(client: Pick<KubeClient, 'cluster'>): Promise<string | undefined> {
  try {
    return await client.cluster?.();
  } catch (error) {
    // A kubeconfig that cannot be used is told by the call that needs it.
    if (!isManifoldError(error)) throw error;
    return undefined;
  }
}

export function sayElsewhere({ log }: Pick<ClusterDeps, 'log'>, rows: readonly ClusterLeaseRecord[]): void {
  const [first] = rows;
  if (first === undefined) return;
  log?.warn('leases of another cluster are to be ended by a call that names it', {
    ...{ count: rows.length, address: first.address, cluster: first.cluster?.split(' ')[0] },
    hint: 'Call the plugin, or run manifold-agent, with the kubeconfig of that cluster. Where the cluster is gone, drain the node and remove its state directory.',
  });
}
