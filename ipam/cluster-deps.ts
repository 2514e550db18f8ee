// What the allocator over the cluster's leases stands on. The agent gives the same.
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { Logger } from '../pkg/log/logger.ts';
import type { ClusterLeaseRecord, NodeStore } from '../pkg/state/node-store.ts';

export interface ClusterDeps {
  readonly client: KubeClient;
  readonly store: NodeStore;
  /** Of the Node object. */
  readonly nodeName: string;
  /** To see whether what a dead process claimed an address for is there. */
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /** Another allocator that works in the same cluster and must see our claims. */
  readonly reservations?: Reservations;
  /** What could not be done now and is done later is told here. */
  readonly log?: Logger;
  /** Called at each boundary between two effects; the crash tests die there. */
  readonly step?: (name: string) => void;
}

/** What another allocator has of an address: made before our lease, taken back after it. Both may be repeated. */
export interface Reservations {
  /** @returns 'taken' when somebody else has it @throws KubeError */
  reserve(row: ClusterLeaseRecord, signal: AbortSignal): Promise<'reserved' | 'taken'>;
  /** Takes back what is this holder's; none is no error. @throws KubeError */
  free(row: ClusterLeaseRecord, signal: AbortSignal): Promise<void>;
}

/** How long each verb may wait for the API server, all its calls together. */
export const DEADLINE_MS = {
  claim: 20_000,
  /** To tell the API server of an address that the owner has anyhow. */
  reaffirm: 3_000,
  /** To give back what a claim that failed had got. */
  giveBack: 5_000,
  release: 5_000,
  /** To finish, beside the own work, what other calls left. */
  drain: 2_000,
  look: 5_000,
} as const;
