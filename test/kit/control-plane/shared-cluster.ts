// The control plane that all files of the test project `kube` share. A test that stops a server starts its own.
import { inject } from 'vitest';
import { Cluster } from './cluster.ts';
import { deleteOthers } from './empty-cluster.ts';
import './global-setup.ts';

/** For beforeAll: what earlier files left is deleted. */
export async function sharedCluster(): Promise<Cluster> {
  const cluster = new Cluster(inject('cluster'));
  await deleteOthers(cluster, inject('clusterObjects'));
  return cluster;
}
