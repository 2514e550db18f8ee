// Which addresses a request is given, out of what a view of the leases shows. Writes nothing itself. The one place of
// the rules, whichever store the leases are in.
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { type Address, formatAddress, parseAddress, sameAddress } from '../pkg/ip/address.ts';
import { cidrContains, formatCidr } from '../pkg/ip/cidr.ts';
import { rangeContains } from '../pkg/ip/range.ts';
import { exhausted, podName } from './exhausted.ts';
import { timeText } from './ip-lease.ts';
import type { ClaimRequest, Grant, KnownLease, LeaseView } from './lease-store.ts';
import { isUsable, type Pool, spanOf, specialOf } from './pool.ts';

/**
 * @param take called for each address as it is chosen; the view must show it as taken from then on
 * @returns the addresses in the order of the sets, fixed ones last
 * @throws ManifoldError 'no-address', 'address-held', 'bad-config'
 */
export function chooseAddresses(
  request: ClaimRequest,
  view: LeaseView,
  take: (grant: Grant) => void,
): Grant[] {
  const given: Grant[] = [];
  const give = (grant: Grant): Grant => {
    given.push(grant);
    take(grant);
    return grant;
  };
  // What must be given comes first, so that none of it is drawn for another set.
  const fixed = request.fixed.map(({ domain, cidr: { address, prefix }, gateway, terms }) => {
    refuseIfHeld(request, domain, address, view);
    return give({ domain, address, prefix, gateway, terms });
  });
  const placed = placeRequested(request);
  const asked = placed.map(({ set, pool, address }) => {
    refuseIfHeld(request, pool.domain, address, view);
    return { set, grant: give(grantOf(pool, address)) };
  });
  const drawn = request.sets.flatMap((pools, set) => {
    const ofSet = asked.filter((one) => one.set === set).map((one) => one.grant);
    return ofSet.length > 0 ? ofSet : [give(draw(request, pools, view, given))];
  });
  return [...drawn, ...fixed];
}

function draw(
  request: ClaimRequest,
  pools: readonly Pool[],
  view: LeaseView,
  given: readonly Grant[],
): Grant {
  const own = ownAddress(pools, view, given);
  if (own !== undefined) return own;
  for (const pool of pools) {
    const value = view.nextFree(pool);
    if (value !== undefined) return grantOf(pool, { family: pool.subnet.address.family, value });
  }
  for (const pool of pools)
    for (const lease of view.reusable(pool)) {
      const address = parseAddress(lease.address);
      if (isUsable(pool, address)) return grantOf(pool, address);
    }
  for (const pool of pools)
    for (const lease of view.inRange(pool.domain, spanOf(pool))) {
      const address = parseAddress(lease.address);
      if (lease.state === 'claimed' && isUsable(pool, address) && view.isAbandoned(lease))
        return grantOf(pool, address);
    }
  const { pod, containerId, ifname, network } = request;
  throw exhausted(`give ${ifname} of ${podName(pod, containerId)} an address`, network, pools, view);
}

/** What the owner holds already, else what it held before and nobody was given since. */
function ownAddress(pools: readonly Pool[], view: LeaseView, given: readonly Grant[]): Grant | undefined {
  const leases = view.own().toSorted((a, b) => Number(a.state === 'resting') - Number(b.state === 'resting'));
  for (const lease of leases) {
    const address = parseAddress(lease.address);
    if (given.some((grant) => grant.domain === lease.domain && sameAddress(grant.address, address))) continue;
    const pool = pools.find((one) => one.domain === lease.domain && isUsable(one, address));
    if (pool !== undefined) return grantOf(pool, address);
  }
  return undefined;
}

interface Placed {
  readonly set: number;
  readonly pool: Pool;
  readonly address: Address;
}

/** Gives each requested address to a set whose subnet it lies in: one for each set first. */
function placeRequested(request: ClaimRequest): Placed[] {
  const placed: Placed[] = [];
  for (const address of request.requested) {
    const fitting = request.sets.flatMap((pools, set) => {
      const pool = pools.find(({ subnet }) => cidrContains(subnet, address));
      return pool === undefined ? [] : [{ set, pool, address }];
    });
    const place = fitting.find(({ set }) => !placed.some((one) => one.set === set)) ?? fitting[0];
    if (place === undefined) throw refused(request, address, `it lies in no range of the network`);
    const never = whyNever(request, place.pool, address);
    if (never !== undefined) throw refused(request, address, never);
    placed.push(place);
  }
  return placed;
}

function whyNever({ gateways }: ClaimRequest, pool: Pool, address: Address): string | undefined {
  if (gateways.some((gateway) => sameAddress(gateway, address))) return 'it is the gateway';
  if (pool.excluded.some((hole) => rangeContains(hole, address))) return 'it is excluded';
  if (specialOf(pool.subnet).some((special) => rangeContains(special, address)))
    return address.family === 4
      ? 'it is the network or broadcast address'
      : 'it is the anycast address of the routers of its subnet';
  return undefined;
}

function refused(
  { pod, containerId, network, sets }: ClaimRequest,
  address: Address,
  why: string,
): ManifoldError {
  const subnets = [...new Set(sets.flat().map(({ subnet }) => formatCidr(subnet)))].join(', ');
  return new ManifoldError(
    'bad-config',
    `Cannot give requested address ${formatAddress(address)} to ${podName(pod, containerId)} on network ${network}: ${why}`,
    { hint: `Request an address that network ${network} may give: it has ${subnets || 'no ranges'}.` },
  );
}

function refuseIfHeld(request: ClaimRequest, domain: string, address: Address, view: LeaseView): void {
  const lease = view.get(domain, address);
  if (lease === undefined || isOwn(lease, view) || view.isAbandoned(lease)) return;
  if (lease.state === 'resting' && view.mayReuse(lease)) return;
  const { pod, containerId, network } = request;
  const wish = `Cannot give ${lease.address} to ${podName(pod, containerId)} on network ${network}`;
  const holder = podName(lease.pod, lease.containerId);
  if (lease.state === 'resting')
    throw new ManifoldError(
      'address-held',
      `${wish}: it is kept until ${timeText(lease.until ?? 0)}, since ${holder} had it as ${lease.ifname} on network ${lease.network}`,
      { hint: 'Request another address, or wait until then.' },
    );
  const where = lease.node === undefined ? '' : ` on node ${lease.node}`;
  throw new ManifoldError(
    'address-held',
    `${wish}: ${holder}${where} holds it as ${lease.ifname} on network ${lease.network}${sinceText(lease)} (container ${lease.containerId})`,
    { hint: 'Request another address, or delete that pod first.' },
  );
}

/** The view knows more than the UID: on another node it may be another's. */
const isOwn = ({ domain, address }: KnownLease, view: LeaseView): boolean =>
  view.own().some((own) => own.domain === domain && own.address === address);

const grantOf = (pool: Pool, address: Address): Grant => ({
  domain: pool.domain,
  address,
  prefix: pool.subnet.prefix,
  gateway: pool.gateway,
  terms: pool.terms,
});

/** Another allocator does not say since when. */
const sinceText = ({ acquired }: KnownLease): string =>
  acquired === 0 ? '' : ` since ${timeText(acquired)}`;
