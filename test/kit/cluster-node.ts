// A node of a cluster as the allocator sees it: a store of its own, a client of its own, no pods.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterDeps } from '../../ipam/cluster-deps.ts';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { kubeLeaseStore } from '../../ipam/kube-lease-store.ts';
import type { LeaseStore } from '../../ipam/lease-store.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { formatAddress } from '../../pkg/ip/address.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore, Writer } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { applyManifests } from './control-plane/apply-manifests.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { leaseObject } from './lease-object.ts';
import { type Asking, claimRequest } from './lease-world.ts';

export class ClusterNode {
  readonly deps: ClusterDeps;
  readonly node: NodeStore;
  readonly store: LeaseStore;
  readonly client: KubeClient;
  /** What was logged, one line each. */
  readonly said: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'manifold-cluster-'));

  constructor(kubeconfig: string, nodeName: string, more: Partial<ClusterDeps> = {}) {
    this.node = openNodeStore(this.#directory);
    // Less patience than in production: an API server that is away need not be waited for.
    this.client = openKubeClient(kubeconfig, { timeoutMs: 2500 });
    this.deps = {
      ...{ client: this.client, store: this.node, nodeName },
      // No namespace of these tests is there.
      kernel: { openIfThere: () => undefined },
      log: createLogger({ level: 'debug', sink: (line) => this.said.push(line) }),
      ...more,
    };
    this.store = kubeLeaseStore(this.deps);
  }

  /** @returns the addresses given, as text */
  async give(ipam: JsonObject, asking: Asking = {}, as: 'claimed' | 'held' = 'held'): Promise<string[]> {
    const [grants = []] = await this.store.claim([claimRequest(ipam, asking)], as);
    return grants.map(({ address }) => formatAddress(address));
  }

  free(containerId: string, ifname = 'net1', network = 'rail0'): Promise<void> {
    return this.store.release({ containerId, ifname, network });
  }

  /** The rows of this node: "10.0.0.1 held c1". */
  rows(): string[] {
    return this.node.clusterLeases
      .all()
      .map(({ address, state, containerId }) => `${address} ${state} ${containerId}`);
  }

  /** A process of this boot that has ended. */
  deadWriter(): Writer {
    return { ...this.node.writer, pid: spawnSync('true').pid ?? 1 };
  }

  /** @returns what is broken in the store: nothing may be */
  close(): string[] {
    const { broken } = checkState(this.node);
    this.node.close();
    this.client.close();
    rmSync(this.#directory, { recursive: true });
    return broken;
  }
}

/** Brings the definitions to a cluster, and makes one lease: for its first the API server compiles rules for a second or two. */
export async function withLeases(cluster: Cluster): Promise<KubeClient> {
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  const admin = openKubeClient(cluster.kubeconfig());
  const lease = leaseObject();
  await admin.create<IpLease>(IP_LEASES, lease, { isOurs: () => true });
  await admin.delete(IP_LEASES, lease.metadata.name);
  return admin;
}

/** All leases of the cluster: "10.0.0.1 Held c1 n1". */
export async function leasesOf(client: KubeClient): Promise<string[]> {
  const { items } = await client.list<IpLease>(IP_LEASES);
  return items
    .map(({ spec }) => `${spec.address} ${spec.phase} ${spec.owner.containerID} ${spec.node}`)
    .sort();
}

export const readAll = async (client: KubeClient): Promise<readonly IpLease[]> =>
  (await client.list<IpLease>(IP_LEASES)).items;
