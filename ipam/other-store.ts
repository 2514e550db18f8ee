// A node keeps leases of its own and rows of the cluster's in one file. Where its configuration begins or ceases to name a
// cluster, pods have addresses of both: each kind of claim sees the other's as taken, and an owner keeps what it has.
import { type Address, formatAddress, parseAddress } from '../pkg/ip/address.ts';
import { type AddressRange, rangeContains } from '../pkg/ip/range.ts';
import type { ClusterLeaseRecord, LeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import { isAbandoned } from './abandoned.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { knownRow } from './known-lease.ts';
import { leaseName } from './lease-name.ts';
import type { ClaimRequest, Grant, KnownLease, LeaseHolder } from './lease-store.ts';
import { isUsable } from './pool.ts';

type NodeDeps = Pick<ClusterDeps, 'store' | 'kernel'>;

/** What rests in the node's own store is free to the cluster, and so is what a dead process claimed. */
const isInUse = ({ store, kernel }: NodeDeps, lease: LeaseRecord): boolean =>
  lease.state === 'held' || (lease.state === 'claimed' && !isAbandoned(store, kernel, lease));

/** The lease of the node's own store, for a claim over the cluster's. */
export function heldOnNode(deps: NodeDeps, domain: string, address: Address): KnownLease | undefined {
  const lease = deps.store.leases.get(domain, formatAddress(address));
  return lease !== undefined && isInUse(deps, lease) ? lease : undefined;
}

export function heldOnNodeIn(deps: NodeDeps, domain: string, range: AddressRange): KnownLease[] {
  const text = (value: bigint) => formatAddress({ family: range.family, value });
  return deps.store.leases
    .inRange(domain, text(range.first), text(range.last))
    .filter((lease) => isInUse(deps, lease));
}

/** What the owner has of the node's own store: its claim over the cluster's asks for the same. */
export const ownOnNode = (
  { store }: Pick<NodeDeps, 'store'>,
  { owner, ifname, network }: Pick<ClaimRequest, 'owner' | 'ifname' | 'network'>,
): LeaseRecord[] =>
  store.leases
    .ofOwner(owner, ifname)
    .filter((lease) => lease.network === network && lease.state !== 'resting');

/** Ends what the owners have of the node's own store, once the cluster has given them these. Call inside a transaction. */
export function leaveNode(
  deps: Pick<ClusterDeps, 'store' | 'client'>,
  requests: readonly ClaimRequest[],
  grants: readonly (readonly Grant[])[],
): void {
  const { leases } = deps.store;
  const given = new Set(grants.flat().map(({ domain, address }) => `${domain} ${formatAddress(address)}`));
  for (const request of requests)
    for (const lease of ownOnNode(deps, request)) {
      const address = parseAddress(lease.address);
      const isOfPools = request.sets
        .flat()
        .some((pool) => pool.domain === lease.domain && isUsable(pool, address));
      if (given.has(`${lease.domain} ${lease.address}`)) leases.remove(lease.domain, lease.address);
      else if (isOfPools) leases.put({ ...lease, state: 'resting', released: deps.client.now() });
    }
}

/** This node's row of a lease of the cluster, for a claim over the node's own store. One that rests is as good as free. */
export function heldInCluster(
  { clusterLeases }: Pick<NodeStore, 'clusterLeases'>,
  domain: string,
  address: Address,
): KnownLease | undefined {
  const row = clusterLeases.get(leaseName(domain, address));
  return row === undefined || row.state === 'resting' ? undefined : knownRow(row);
}

export const heldInClusterIn = (
  { clusterLeases }: Pick<NodeStore, 'clusterLeases'>,
  domain: string,
  range: AddressRange,
): KnownLease[] =>
  clusterLeases
    .inState('claiming', 'claimed', 'held', 'releasing')
    .filter((row) => row.domain === domain && rangeContains(range, parseAddress(row.address)))
    .map((row) => knownRow(row));

/** What is surely the owner's in the cluster, though nobody can be asked. */
export const ownInCluster = (
  { clusterLeases }: Pick<NodeStore, 'clusterLeases'>,
  { owner, ifname, network }: Pick<ClaimRequest, 'owner' | 'ifname' | 'network'>,
): ClusterLeaseRecord[] =>
  clusterLeases
    .ofOwner(owner, ifname)
    .filter((row) => row.network === network && row.state !== 'resting' && row.object !== undefined);

/** The row goes with the sandbox: the DEL of the older one must not end it. Call inside a transaction. */
export function keepInCluster(store: NodeStore, request: ClaimRequest, { domain, address }: Grant): void {
  const { clusterLeases } = store;
  const name = leaseName(domain, address);
  const row = ownInCluster(store, request).find((one) => one.name === name);
  if (row === undefined) return;
  const { released: _over, ...rest } = row;
  const { containerId, netns, pod } = request;
  clusterLeases.update({ ...rest, containerId, netns, pod, state: 'held', writer: store.writer });
}

/** All that an attachment has in the cluster, by this node's rows. */
export const ofAttachmentInCluster = (
  { clusterLeases }: Pick<NodeStore, 'clusterLeases'>,
  { containerId, ifname, network }: LeaseHolder,
): KnownLease[] =>
  clusterLeases
    .ofContainer(containerId)
    .filter((row) => row.ifname === ifname && row.network === network)
    .filter(({ state }) => state !== 'resting' && state !== 'releasing')
    .map((row) => knownRow(row));
