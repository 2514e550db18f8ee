// Which leases a configuration means: the cluster's where it names one, else those of this node.
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import { readTrustedKubeconfig } from '../pkg/kube/kubeconfig.ts';
import type { Logger } from '../pkg/log/logger.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import type { ClusterDeps, Reservations } from './cluster-deps.ts';
import type { LeasePlace } from './config.ts';
import { markReleasing } from './end-lease.ts';
import { kubeLeaseStore } from './kube-lease-store.ts';
import type { KnownLease, LeaseHolder, LeaseStore } from './lease-store.ts';
import { nodeLeaseStore } from './node-lease-store.ts';
import { nodeNameOf } from './node-name.ts';
import { heldInCluster, ofAttachmentInCluster } from './other-store.ts';
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
    return {
      ...ofNode,
      async get(domain, address) {
        const lease = await ofNode.get(domain, address);
        return inUse(lease) ?? heldInCluster(store, domain, address) ?? lease;
      },
      ofAttachment: async (holder) =>
        joined(await ofNode.ofAttachment(holder), ofAttachmentInCluster(store, holder)),
      release: (holder) => releaseHere(deps, store, ofNode, holder, log),
    };
  const ofCluster = kubeLeaseStore(clusterDeps(deps, store, place, place.kubeconfig, log));
  return {
    ...ofCluster,
    get: async (domain, address) =>
      inUse(await ofNode.get(domain, address)) ?? (await ofCluster.get(domain, address)),
    ofAttachment: async (holder) =>
      joined(await ofCluster.ofAttachment(holder), await ofNode.ofAttachment(holder)),
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

const inUse = (lease: KnownLease | undefined): KnownLease | undefined =>
  lease?.state === 'resting' ? undefined : lease;

/** One that is in both is the same one: its owner took it along. */
const joined = (these: readonly KnownLease[], those: readonly KnownLease[]): KnownLease[] => [
  ...these,
  ...those.filter(
    (one) => !these.some(({ domain, address }) => domain === one.domain && address === one.address),
  ),
];

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
    namespace: async () => (await readTrustedKubeconfig(kubeconfig)).namespace ?? THEIR_NAMESPACE,
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
  store.transaction(() => {
    // Nobody asks the API server now: what the objects were is what they are, and their owner may have them back.
    for (const row of markReleasing({ store, client: { now } }, rows)) store.clusterLeases.update(row);
  });
  log.warn('leases are to be ended later', { reason: 'the configuration names no cluster' });
}
