// Leases of the cluster: one IPLease an address, whose creation is the claim. This node keeps a row of each of its own.
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import type { Address } from '../pkg/ip/address.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { claimLeases } from './cluster-claim.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import { releaseRows } from './cluster-release.ts';
import { ensureClusterServes } from './cluster-status.ts';
import { readLease } from './end-lease.ts';
import { isHeldBy } from './ip-lease.ts';
import { knownLease, knownRow } from './known-lease.ts';
import { leaseName } from './lease-name.ts';
import type { KnownLease, LeaseHolder, LeaseStore } from './lease-store.ts';

export function kubeLeaseStore(deps: ClusterDeps): LeaseStore {
  const { store, nodeName } = deps;
  const { clusterLeases } = store;
  const rowsOf = ({ containerId, ifname, network }: LeaseHolder): ClusterLeaseRecord[] =>
    clusterLeases
      .ofContainer(containerId)
      .filter((row) => row.ifname === ifname && row.network === network && row.state !== 'resting');
  const inUse = (holder: LeaseHolder) => rowsOf(holder).filter(({ state }) => state !== 'releasing');
  return {
    claim: (requests, as) => claimLeases(deps, requests, as),
    async markHeld(holder) {
      const claimed = (row: ClusterLeaseRecord) => row.state === 'claimed';
      if (!inUse(holder).some(claimed)) return;
      store.transaction(() => {
        for (const row of inUse(holder).filter(claimed)) clusterLeases.update({ ...row, state: 'held' });
      });
    },
    release: (holder) => releaseRows(deps, () => rowsOf(holder)),
    releaseAllBut(network, valid) {
      const kept = new Set(valid.map(({ containerId, ifname }) => `${containerId} ${ifname}`));
      return releaseRows(deps, () =>
        clusterLeases.all().filter(
          (row) =>
            row.network === network &&
            row.state !== 'resting' &&
            // The runtime lists what has been added: an ADD that is under way is in no list yet.
            !(row.state !== 'held' && store.isAlive(row.writer)) &&
            !kept.has(`${row.containerId} ${row.ifname}`),
        ),
      );
    },
    get: (domain, address) => lookUp(deps, domain, address),
    async ofAttachment(holder) {
      return inUse(holder).map((row) => knownRow(row, nodeName));
    },
    ensureServing: (network, sets, signal) => ensureClusterServes(deps, network, sets, signal),
  };
}

/** By the API server; while it is away, by this node's row. A row that the object contradicts does not count. */
async function lookUp(
  { client, store, nodeName, log }: ClusterDeps,
  domain: string,
  address: Address,
): Promise<KnownLease | undefined> {
  const name = leaseName(domain, address);
  const row = store.clusterLeases.get(name);
  try {
    const lease = await readLease(client, name, AbortSignal.timeout(DEADLINE_MS.look));
    if (lease === undefined) return undefined;
    // The row knows of a container that the object was not told of while the API server was away.
    const isOurs = row !== undefined && row.state !== 'resting' && isHeldBy(lease, row);
    return isOurs && lease.spec.node === nodeName ? knownRow(row, nodeName) : knownLease(lease);
  } catch (error) {
    if (!isManifoldError(error, 'try-later') || row === undefined) throw error;
    log?.warn('the API server is away: going by the records of this node', { reason: error.message });
    return knownRow(row, nodeName);
  }
}
