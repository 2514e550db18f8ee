// Which leases a configuration means: the cluster's where it names one, else those of this node.
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import { readKubeconfig } from '../pkg/kube/kubeconfig.ts';
import type { Logger } from '../pkg/log/logger.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import type { ClusterDeps, Reservations } from './cluster-deps.ts';
import type { LeasePlace } from './config.ts';
import { markReleasing } from './end-lease.ts';
import { kubeLeaseStore } from './kube-lease-store.ts';
import type { LeaseHolder, LeaseStore } from './lease-store.ts';
import { nodeLeaseStore } from './node-lease-store.ts';
import { nodeNameOf } from './node-name.ts';
import { THEIR_NAMESPACE } from './whereabouts/objects.ts';
import { createReservations } from './whereabouts/reservations.ts';

export interface LeaseStoreDeps {
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /** The store of this node, opened once a process: nobody here closes it. */
  readonly openStore: (where: { readonly stateDir: string; readonly runDir: string }) => NodeStore;
  /** The client of a kubeconfig, made once a process. */
  readonly kube: (kubeconfig: string) => KubeClient;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly step?: (name: string) => void;
}

/**
 * Claims, CHECK and STATUS go to the store that the configuration names. What is released is released wherever it is:
 * the configuration may have been another when it was claimed, or cannot be read any more.
 */
export function openLeaseStore(deps: LeaseStoreDeps, place: LeasePlace, log: Logger): LeaseStore {
  const store = deps.openStore(place);
  const ofNode = nodeLeaseStore(store, deps);
  if (place.kubeconfig === undefined)
    return { ...ofNode, release: (holder) => releaseHere(deps, store, ofNode, holder, log) };
  const ofCluster = kubeLeaseStore(clusterDeps(deps, store, place, place.kubeconfig, log));
  return {
    ...ofCluster,
    async release(holder) {
      await ofNode.release(holder);
      await ofCluster.release(holder);
    },
    async releaseAllBut(network, valid) {
      await ofNode.releaseAllBut(network, valid);
      await ofCluster.releaseAllBut(network, valid);
    },
  };
}

function clusterDeps(
  deps: LeaseStoreDeps,
  store: NodeStore,
  place: LeasePlace,
  kubeconfig: string,
  log: Logger,
): ClusterDeps {
  const reservations = reservationsOf(deps, place);
  return {
    ...{
      client: deps.kube(kubeconfig),
      store,
      nodeName: nodeNameOf(place.nodeName),
      kernel: deps.kernel,
      log,
    },
    ...(deps.step !== undefined && { step: deps.step }),
    ...(reservations !== undefined && { reservations }),
  };
}

/** Those of Whereabouts, where it may run in the same cluster. */
export function reservationsOf(
  { kube }: Pick<LeaseStoreDeps, 'kube'>,
  { kubeconfig, whereabouts }: LeasePlace,
): Reservations | undefined {
  if (kubeconfig === undefined || whereabouts === 'closed') return undefined;
  return createReservations({
    client: kube(kubeconfig),
    namespace: async () => (await readKubeconfig(kubeconfig)).namespace ?? THEIR_NAMESPACE,
  });
}

/** Where no cluster is named, its leases are marked: a call that names it, or the agent, ends them. */
async function releaseHere(
  { now }: LeaseStoreDeps,
  store: NodeStore,
  ofNode: LeaseStore,
  holder: LeaseHolder,
  log: Logger,
): Promise<void> {
  await ofNode.release(holder);
  const { containerId, ifname, network } = holder;
  const rows = store.clusterLeases
    .ofContainer(containerId)
    .filter((row) => row.ifname === ifname && row.network === network)
    .filter(({ state }) => state !== 'releasing' && state !== 'resting');
  if (rows.length === 0) return;
  markReleasing({ store, client: { now } }, rows);
  log.warn('leases are to be ended later', { reason: 'the configuration names no cluster' });
}
