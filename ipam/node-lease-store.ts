// Leases in the node's store: a claim is one transaction.
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import { type AddressRange, rangeOfAddress, subtractRanges } from '../pkg/ip/range.ts';
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { LeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import { isAbandoned } from './abandoned.ts';
import { chooseAddresses } from './choose.ts';
import { exhausted } from './exhausted.ts';
import { isOfStatefulSet } from './ip-lease.ts';
import { knownRow } from './known-lease.ts';
import type { ClaimRequest, Grant, KnownLease, LeaseHolder, LeaseStore, LeaseView } from './lease-store.ts';
import { lowestFree } from './lowest-free.ts';
import { heldInCluster, heldInClusterIn, keepInCluster, ownInCluster } from './other-store.ts';
import { isUsable, type Pool, spanOf } from './pool.ts';

export interface NodeLeaseDeps {
  /** To see whether what a dead process claimed an address for is there. */
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function nodeLeaseStore(store: NodeStore, deps: NodeLeaseDeps): LeaseStore {
  const { leases } = store;
  const rest = (lease: LeaseRecord) => {
    const rested = { ...lease, state: 'resting', released: deps.now() } as const;
    // "0s", of a pod that is no StatefulSet's.
    if (restUntil(rested) === rested.released) leases.remove(lease.domain, lease.address);
    else leases.put(rested);
  };
  const active = ({ containerId, ifname, network }: LeaseHolder) =>
    leases
      .ofContainer(containerId)
      .filter((lease) => lease.ifname === ifname && lease.network === network && lease.state !== 'resting');

  return {
    async claim(requests, as) {
      return store.transaction(() => {
        const given = new Set<string>();
        const grants = requests.map((request) => claimOne(store, deps, request, as, given));
        // Only now: what one request leaves may be given to the next.
        for (const request of requests) leftoversOf(store, request, given).forEach(rest);
        return grants;
      });
    },
    async markHeld(holder) {
      store.transaction(() => {
        for (const lease of active(holder))
          if (lease.state === 'claimed') leases.put({ ...lease, state: 'held' });
      });
    },
    async release(holder) {
      // Read first: a DEL of what holds nothing needs no store that can be written.
      if (active(holder).length > 0) store.transaction(() => active(holder).forEach(rest));
    },
    async releaseAllBut(network, valid) {
      const kept = new Set(valid.map(({ containerId, ifname }) => `${containerId} ${ifname}`));
      store.transaction(() => {
        for (const lease of leases.all())
          if (
            lease.network === network &&
            lease.state !== 'resting' &&
            // The runtime lists what has been added: an ADD that is under way is in no list yet.
            !(lease.state === 'claimed' && store.isAlive(lease.writer)) &&
            !kept.has(`${lease.containerId} ${lease.ifname}`)
          )
            rest(lease);
      });
    },
    async get(domain, address) {
      return known(leases.get(domain, formatAddress(address)));
    },
    async ofAttachment(holder) {
      return active(holder);
    },
    async ensureServing(network, sets) {
      store.ensureWritable();
      const view = viewOf(store, deps, undefined);
      for (const pools of sets)
        if (!pools.some((pool) => hasRoom(pool, view)))
          throw exhausted('serve ADD', network, pools, view, 'unavailable');
    },
  };
}

function claimOne(
  store: NodeStore,
  deps: NodeLeaseDeps,
  request: ClaimRequest,
  as: 'claimed' | 'held',
  given: Set<string>,
): Grant[] {
  const { network, owner, ifname, containerId, pod, netns } = request;
  const before = leasesOf(store, request);
  return chooseAddresses(request, viewOf(store, deps, { request, before }), (grant) => {
    const { domain, address: chosen } = grant;
    const { reuseDelaySeconds, stickySeconds } = grant.terms;
    keepInCluster(store, request, grant);
    const address = formatAddress(chosen);
    const same = before.find(
      (lease) =>
        lease.domain === domain &&
        lease.address === address &&
        lease.containerId === containerId &&
        lease.state !== 'resting',
    );
    given.add(`${domain} ${address}`);
    store.leases.put({
      domain,
      address,
      network,
      owner,
      ifname,
      containerId,
      pod,
      netns,
      state: as,
      acquired: same?.acquired ?? deps.now(),
      ...(reuseDelaySeconds !== undefined && { reuseDelaySeconds }),
      ...(stickySeconds !== undefined && { stickySeconds }),
      writer: store.writer,
    });
  });
}

const leasesOf = (store: NodeStore, { owner, ifname, network }: ClaimRequest): LeaseRecord[] =>
  store.leases.ofOwner(owner, ifname).filter((lease) => lease.network === network);

/**
 * What the owner had of these pools and is not given again, since it asks for another now. What it has beside them
 * may be another plugin's of the same list.
 */
function leftoversOf(store: NodeStore, request: ClaimRequest, given: ReadonlySet<string>): LeaseRecord[] {
  const pools = request.sets.flat();
  return leasesOf(store, request).filter(({ domain, address, state }) => {
    if (state === 'resting' || given.has(`${domain} ${address}`)) return false;
    const own = parseAddress(address);
    return pools.some((pool) => pool.domain === domain && isUsable(pool, own));
  });
}

interface Asking {
  readonly request: ClaimRequest;
  /** Its leases before this claim. */
  readonly before: readonly LeaseRecord[];
}

/** @param asking undefined where nobody in particular asks */
function viewOf(store: NodeStore, { kernel, now }: NodeLeaseDeps, asking: Asking | undefined): LeaseView {
  const { leases } = store;
  const mayReuse = (lease: LeaseRecord) =>
    restUntil(lease) <= now() || (asking !== undefined && isFor(lease, asking.request));
  const free = (pool: Pool) => (range: AddressRange) =>
    lowestFree(range, (part) => BigInt(leases.count(pool.domain, part)));
  const isInCluster = ({ domain, address }: LeaseRecord) =>
    heldInCluster(store, domain, parseAddress(address)) !== undefined;
  return {
    get(domain, address) {
      const lease = leases.get(domain, formatAddress(address));
      if (lease !== undefined && lease.state !== 'resting') return lease;
      return heldInCluster(store, domain, address) ?? known(lease);
    },
    own: () =>
      asking === undefined
        ? []
        : [
            ...asking.before,
            ...ownInCluster(store, asking.request).map((row) => knownRow(row)),
            ...kept(store, asking.request),
          ],
    nextFree(pool) {
      const inCluster = heldInClusterIn(store, pool.domain, spanOf(pool));
      const holes = inCluster.map(({ address }) => rangeOfAddress(parseAddress(address)));
      return Iterator.from(pool.usable)
        .flatMap((range) => (holes.length === 0 ? [range] : subtractRanges(range, holes)))
        .map(free(pool))
        .find((value) => value !== undefined);
    },
    reusable: (pool) =>
      Iterator.from(leases.resting(pool.domain, spanOf(pool))).filter(
        (lease) => mayReuse(lease) && !isInCluster(lease),
      ),
    mayReuse(lease) {
      const record = leases.get(lease.domain, lease.address);
      return record !== undefined && mayReuse(record);
    },
    isAbandoned(lease) {
      const record = leases.get(lease.domain, lease.address);
      return record?.state === 'claimed' && isAbandoned(store, kernel, record);
    },
    inRange: (domain, { family, first, last }) => {
      const text = (value: bigint) => formatAddress({ family, value });
      const own = leases.inRange(domain, text(first), text(last)).flatMap((lease) => known(lease) ?? []);
      const inCluster = heldInClusterIn(store, domain, { family, first, last });
      return [
        ...own.filter(({ address }) => !inCluster.some((lease) => lease.address === address)),
        ...inCluster,
      ];
    },
  };
}

const known = (lease: LeaseRecord | undefined): KnownLease | undefined =>
  lease?.state === 'resting' ? { ...lease, until: restUntil(lease) } : lease;

/** Before that it is given to nobody but its owner: 0 where no definition asks for a rest. */
function restUntil({ released = 0, reuseDelaySeconds, stickySeconds = 0, pod }: LeaseRecord): number {
  const sticky = isOfStatefulSet(pod.name) ? stickySeconds : 0;
  if (reuseDelaySeconds === undefined && sticky === 0) return 0;
  return released + Math.max(reuseDelaySeconds ?? 0, sticky) * 1000;
}

/** True when it rests for this owner, or is kept for the next pod of this name. */
const isFor = (lease: LeaseRecord, { owner, ifname, network, pod }: ClaimRequest): boolean =>
  lease.ifname === ifname &&
  lease.network === network &&
  (lease.owner === owner ||
    ((lease.stickySeconds ?? 0) > 0 &&
      isOfStatefulSet(pod.name) &&
      lease.pod.name === pod.name &&
      lease.pod.namespace === pod.namespace));

/** What a pod of the same name has left for it: looked for only where the configuration keeps addresses. */
function kept({ leases }: NodeStore, request: ClaimRequest): LeaseRecord[] {
  if (!isOfStatefulSet(request.pod.name)) return [];
  return request.sets.flat().flatMap((pool) =>
    pool.terms.stickySeconds === undefined
      ? []
      : Iterator.from(leases.resting(pool.domain, spanOf(pool)))
          .filter((lease) => lease.owner !== request.owner && isFor(lease, request))
          .toArray(),
  );
}

function hasRoom(pool: Pool, view: LeaseView): boolean {
  const fits = (lease: KnownLease) => isUsable(pool, parseAddress(lease.address));
  return (
    view.nextFree(pool) !== undefined ||
    Iterator.from(view.reusable(pool)).some(fits) ||
    view.inRange(pool.domain, spanOf(pool)).some((lease) => fits(lease) && view.isAbandoned(lease))
  );
}
