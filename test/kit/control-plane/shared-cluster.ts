// The control plane that all files of the test project `kube` share. A test that stops a server starts its own.
import { inject } from 'vitest';
import { Cluster } from './cluster.ts';
import { deleteOthers } from './empty-cluster.ts';
import './global-setup.ts';

/** For beforeAll: what earlier files left is deleted. @throws Error where it could not be started */
export async function sharedCluster(): Promise<Cluster> {
  const shared = inject('cluster');
  if ('failure' in shared) throw new Error(shared.failure);
  const cluster = new Cluster(shared.place);
  await emptySharedCluster(cluster);
  return cluster;
}

/** Deletes all that was not there when it was new. */
export async function emptySharedCluster(cluster: Cluster): Promise<void> {
  const shared = inject('cluster');
  if ('objects' in shared) await deleteOthers(cluster, shared.objects);
}
