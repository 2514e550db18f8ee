// Leases in the node's store: a claim is one transaction.
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import { type AddressRange, sizeOf } from '../pkg/ip/range.ts';
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { LeaseRecord, NodeStore } from '../pkg/state/node-store.ts';
import { chooseAddresses } from './choose.ts';
import { exhausted } from './exhausted.ts';
import type { ClaimRequest, Grant, LeaseHolder, LeaseStore, LeaseView } from './lease-store.ts';
import { isUsable, type Pool, spanOf } from './pool.ts';

export interface NodeLeaseDeps {
  /** To see whether what a dead process claimed an address for is there. */
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function nodeLeaseStore(store: NodeStore, deps: NodeLeaseDeps): LeaseStore {
  const { leases } = store;
  const rest = (lease: LeaseRecord) => leases.put({ ...lease, state: 'resting', released: deps.now() });
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
      return leases.get(domain, formatAddress(address));
    },
    async ofAttachment(holder) {
      return active(holder);
    },
    async ensureServing(network, sets) {
      store.ensureWritable();
      const view = viewOf(store, deps, () => []);
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
  return chooseAddresses(
    request,
    viewOf(store, deps, () => before),
    ({ domain, address: chosen }) => {
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
        writer: store.writer,
      });
    },
  );
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

function viewOf(store: NodeStore, { kernel }: NodeLeaseDeps, own: () => readonly LeaseRecord[]): LeaseView {
  const { leases } = store;
  return {
    get: (domain, address) => leases.get(domain, formatAddress(address)),
    own,
    lowestFree: (domain, range) => lowestFree(range, (part) => BigInt(leases.count(domain, part))),
    resting: (domain, range) => leases.resting(domain, range),
    isAbandoned(lease) {
      if (lease.state !== 'claimed' || store.isAlive(lease.writer)) return false;
      // No namespace outlives the kernel that it was in; a new one may have its path.
      if (lease.writer.bootId !== store.writer.bootId) return true;
      const namespace = kernel.openIfThere(lease.netns);
      if (namespace === undefined) return true;
      try {
        return namespace.link({ name: lease.ifname }) === undefined;
      } finally {
        namespace.close();
      }
    },
    inRange: (domain, { family, first, last }) => {
      const text = (value: bigint) => formatAddress({ family, value });
      return leases.inRange(domain, text(first), text(last));
    },
  };
}

/**
 * The lowest address of a range without a lease, by halving: among n + 1 addresses one at least is free when n are
 * taken, and a part that holds as many leases as addresses has none free. Counts each lease about twice.
 */
export function lowestFree(range: AddressRange, count: (part: AddressRange) => bigint): bigint | undefined {
  const taken = count(range);
  if (taken >= sizeOf(range)) return undefined;
  let low = range.first;
  let high = range.first + taken;
  while (low < high) {
    const part: AddressRange = { ...range, first: low, last: (low + high) >> 1n };
    if (count(part) < sizeOf(part)) high = part.last;
    else low = part.last + 1n;
  }
  return low;
}

function hasRoom(pool: Pool, view: LeaseView): boolean {
  const fits = (lease: LeaseRecord) => isUsable(pool, parseAddress(lease.address));
  return (
    pool.usable.some((range) => view.lowestFree(pool.domain, range) !== undefined) ||
    Iterator.from(view.resting(pool.domain, spanOf(pool))).some(fits) ||
    view.inRange(pool.domain, spanOf(pool)).some((lease) => fits(lease) && view.isAbandoned(lease))
  );
}
