// Nodes that reach the shared API server through a fault proxy; after each test their stores are checked, the faults are
// gone and so are all leases.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { ClusterNode, readAll, withLeases } from './cluster-node.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { sharedCluster } from './control-plane/shared-cluster.ts';
import { FaultProxy } from './fault-proxy/fault-proxy.ts';

export interface ProxiedCluster {
  readonly cluster: Cluster;
  readonly proxy: FaultProxy;
  /** Past the proxy. */
  readonly admin: KubeClient;
}

export type MakeNode = (name?: string, more?: ConstructorParameters<typeof ClusterNode>[2]) => ClusterNode;

/** @param use is given the cluster before the first test @returns makes a node that is closed after its test */
export function nodesBehindProxy(use: (made: ProxiedCluster) => void): MakeNode {
  let made: ProxiedCluster;
  let nodes: ClusterNode[];
  beforeAll(async () => {
    const cluster = await sharedCluster();
    made = { cluster, admin: await withLeases(cluster), proxy: await FaultProxy.start(cluster) };
    use(made);
  });
  afterAll(async () => {
    made.admin.close();
    await made.proxy.close();
  });
  beforeEach(() => {
    nodes = [];
  });
  afterEach(async () => {
    for (const node of nodes) expect(node.close()).toEqual([]);
    await made.proxy.clear();
    for (const { metadata } of await readAll(made.admin)) await made.admin.delete(IP_LEASES, metadata.name);
  });
  return (name = 'n1', more = {}) => {
    const node = new ClusterNode(made.proxy.kubeconfig(), name, more);
    nodes.push(node);
    return node;
  };
}
