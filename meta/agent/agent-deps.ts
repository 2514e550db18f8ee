// What the agent stands on: the real things in its program, a clock that can be hurried in tests.
import type { ClusterDeps, Reservations } from '../../ipam/cluster-deps.ts';
import type { Kernel } from '../../pkg/kernel/kernel.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';

export interface AgentDeps {
  readonly client: KubeClient;
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /**
   * The store of this node, opened for one pass and closed by it: its file may be replaced while the agent runs.
   * Undefined where nothing was ever attached.
   */
  readonly openStore: () => NodeStore | undefined;
  /** A path of every network namespace of this node. */
  readonly namespaces: () => readonly string[];
  readonly log: Logger;
  /** Where Whereabouts runs in the same cluster: what our claims reserved with it is given back with them. */
  readonly reservations?: Reservations;
  /** Milliseconds, never set back. */
  readonly monotonicMs: () => number;
}

export interface AgentSettings {
  /** Of the Node object. */
  readonly nodeName: string;
  /** Where the coordination Leases are. */
  readonly namespace: string;
  /** For how long a node that is there must show no life before it may be lost. */
  readonly nodeSilenceMs: number;
  readonly timings: Timings;
}

/** All in milliseconds. */
export interface Timings {
  /** At scale it is what agents ask most: as seldom as `goneSilence` allows, two within it whatever happens. */
  readonly heartbeat: number;
  /** Between two looks at everything, without an event. */
  readonly pass: number;
  /** What changes within so long is looked at together. */
  readonly gather: number;
  /** For how long a lease must look dead. */
  readonly suspect: number;
  readonly leaseDuration: number;
  readonly leaseRenew: number;
  /** How often an agent that does not reclaim looks whether it should. */
  readonly leaseLook: number;
  /** For how long a node whose Node object is gone must show no life. */
  readonly goneSilence: number;
  /** How often the status of a pool is written, at most. */
  readonly pool: number;
}

export const DEFAULT_TIMINGS: Timings = {
  heartbeat: 20_000,
  pass: 30_000,
  gather: 1_000,
  suspect: 20_000,
  leaseDuration: 15_000,
  leaseRenew: 5_000,
  leaseLook: 30_000,
  goneSilence: 60_000,
  pool: 10_000,
};

/** What the allocator's own functions stand on. */
export const clusterDeps = (
  { client, kernel, log, reservations }: AgentDeps,
  { nodeName }: AgentSettings,
  store: NodeStore,
): ClusterDeps => ({
  ...{ client, kernel, log, store, nodeName },
  ...(reservations !== undefined && { reservations }),
});

export const DEFAULT_NODE_SILENCE = '5m';
