// What the allocator over the cluster's leases stands on. The agent gives the same.
import type { AttachmentId } from '../pkg/cni/plugin.ts';
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { Logger } from '../pkg/log/logger.ts';
import type { ClusterLeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import type { IpLease } from './ip-lease.ts';

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
  /** It is there, and asks for one address after the other from the lowest on. @default false */
  readonly beginsAtLowest?: boolean;
  /** @returns with who has it when somebody else has: a lease that is none of the API server's @throws KubeError */
  reserve(
    row: ClusterLeaseRecord,
    signal: AbortSignal,
  ): Promise<{ readonly reserved: true } | { readonly reserved: false; readonly by: IpLease }>;
  /** Takes back what is this holder's; none is no error. @throws KubeError */
  free(row: ReservedRow, signal: AbortSignal): Promise<void>;
  /** All that it has given itself in a domain, as leases. @throws KubeError */
  taken(domain: string, signal: AbortSignal): Promise<readonly IpLease[]>;
  /** Ends what it has given to a container itself. @returns how many addresses @throws KubeError */
  endTheirs(container: AttachmentId, ranges: readonly ForeignRange[], signal: AbortSignal): Promise<number>;
}

/** What a reservation is known by. */
export type ReservedRow = Pick<
  ClusterLeaseRecord,
  'domain' | 'address' | 'owner' | 'ifname' | 'containerId' | 'pod'
>;

/** Where the addresses of a container may have come from. `subnet` in canonical text. */
export interface ForeignRange {
  readonly domain: string;
  readonly subnet: string;
}

/** How long each verb may wait for the API server, all its calls together. */
export const DEADLINE_MS = {
  claim: 20_000,
  /** To tell the API server of an address that the owner has anyhow. */
  reaffirm: 3_000,
  /** To give back what a claim that failed had got. */
  giveBack: 5_000,
  release: 5_000,
  /** … when another release of the same process has just waited in vain. */
  releaseAgain: 300,
  /** To finish, beside the own work, what other calls left. */
  drain: 2_000,
  look: 5_000,
} as const;
