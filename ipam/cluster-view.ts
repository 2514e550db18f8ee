// The cluster's leases as the rules see them: what this node's rows say and what the claim has learnt. Asked of what it
// has not read it answers "nothing", and notes what is to be read before the answer counts.
import { parseAddress } from '../pkg/ip/address.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { hashOf } from '../pkg/ip/hash.ts';
import { rangeContains } from '../pkg/ip/range.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { type ClusterKnowledge, LEVEL, type Level, rangeKey } from './cluster-knowledge.ts';
import { type IpLease, isOfStatefulSet, isOver, restsByDefault } from './ip-lease.ts';
import { heldByUnknown, knownLease, knownRow } from './known-lease.ts';
import { leaseName } from './lease-name.ts';
import { isHeldHere, isKeptFor, wasHeldBy } from './lease-row.ts';
import type { ClaimRequest, KnownLease, LeaseView } from './lease-store.ts';
import { heldOnNode, heldOnNodeIn, ownOnNode } from './other-store.ts';
import { capacityOf, isUsable, type Pool, spanOf } from './pool.ts';
import { pickFree, spreadWalk, upperHalf } from './walk.ts';

/** What is to be read before a choice is made again. */
export class Unread {
  kept = false;
  readonly ranges = new Map<string, { readonly pool: Pool; readonly level: Level }>();

  /** The first wish counts: what follows from it is not known yet. */
  add(pool: Pool, level: Level): void {
    if (!this.kept && !this.ranges.has(rangeKey(pool))) this.ranges.set(rangeKey(pool), { pool, level });
  }

  get isEmpty(): boolean {
    return !this.kept && this.ranges.size === 0;
  }
}

/** One choice for all requests of a claim. */
export interface Choice {
  readonly deps: Pick<ClusterDeps, 'store' | 'client' | 'nodeName' | 'reservations' | 'kernel'>;
  readonly knowledge: ClusterKnowledge;
  readonly unread: Unread;
  /** Names of the leases that this choice has given already. */
  readonly chosen: ReadonlySet<string>;
}

/** Ranges of so many addresses are given out from the lowest on, unless a definition says otherwise. */
const MOST_LOWEST = 256n;
/** So many taken addresses in a row, and the range is looked at (again). */
const CONFLICTS = { first: 4, later: 3 } as const;
const MOST_STEPS = 64n;

const orderOf = (pool: Pool): 'lowest' | 'spread' =>
  pool.terms.order ?? (capacityOf(pool) <= MOST_LOWEST ? 'lowest' : 'spread');

/**
 * Beside an allocator that begins at the lowest and asks for each address in turn, we begin at the other end: it would
 * ask for all of ours that lie below what it has. Ranges of so many addresses are listed for it.
 */
const MOST_HIGHEST = 65_536n;

const orderBeside = (pool: Pool): 'highest' | 'spread' =>
  capacityOf(pool) <= MOST_HIGHEST ? 'highest' : 'spread';

export function clusterView(choice: Choice, request: ClaimRequest): LeaseView {
  const { knowledge, unread, deps } = choice;
  const { clusterLeases } = deps.store;
  const { owner, ifname, network } = request;
  const now = () => deps.client.now();
  const isOwnRow = (row: ClusterLeaseRecord) =>
    row.owner === owner && row.ifname === ifname && row.network === network;
  const isForUs = (lease: IpLease) =>
    isLasting(lease) &&
    (isHeldHere(lease, request, deps.nodeName) || wasHeldBy(lease, request) || isKeptFor(lease, request));
  const isForAnybody = (lease: IpLease) =>
    isLasting(lease) && (isOver(lease.spec, now()) || restsByDefault(lease.spec));
  return {
    get(domain, address) {
      const name = leaseName(domain, address);
      const row = clusterLeases.get(name);
      if (row !== undefined && (isOwnRow(row) || row.state !== 'resting'))
        return knownRow(row, deps.nodeName);
      const onNode = heldOnNode(deps, domain, address);
      // Its owner is told who has it in the cluster.
      if (onNode !== undefined && !(onNode.owner === owner && knowledge.isTaken(domain, name))) return onNode;
      const lease = knowledge.lease(name);
      if (lease !== undefined) return knownLease(lease);
      return knowledge.isTaken(domain, name) ? heldByUnknown(domain, address) : undefined;
    },
    own: () => [
      ...clusterLeases
        .ofOwner(owner, ifname)
        .filter(isOwnRow)
        .map((row) => knownRow(row, deps.nodeName)),
      ...[...knowledge.leases()].filter(isForUs).map(knownLease),
      // Until the cluster says that somebody else has it.
      ...ownOnNode(deps, request).filter(
        ({ domain, address }) => !knowledge.isTaken(domain, leaseName(domain, parseAddress(address))),
      ),
    ],
    nextFree: (pool) => nextFree(choice, request, pool),
    reusable(pool) {
      const { level } = knowledge.stateOf(pool);
      if (level < LEVEL.leases) unread.add(pool, LEVEL.leases);
      else if (level < LEVEL.leasesOfDomain && hasUnknown(knowledge, pool))
        unread.add(pool, LEVEL.leasesOfDomain);
      else return reusable(choice, request, pool);
      return [];
    },
    mayReuse({ domain, address }) {
      const lease = knowledge.lease(leaseName(domain, parseAddress(address)));
      // A row alone, resting: of this owner.
      return lease === undefined || isForUs(lease) || isForAnybody(lease);
    },
    // Processes that died on this node: their leases are ended before a claim gives up.
    isAbandoned: () => false,
    inRange(domain, range) {
      const isIn = ({ spec }: IpLease) =>
        spec.domain === domain && rangeContains(range, parseAddress(spec.address));
      const known = [...knowledge.leases()].filter(isIn).map(knownLease);
      const onNode = heldOnNodeIn(deps, domain, range);
      return [
        ...known.filter(({ address }) => !onNode.some((lease) => lease.address === address)),
        ...onNode,
      ];
    },
  };
}

/** One that is being deleted is taken until it is gone. */
const isLasting = ({ metadata }: IpLease): boolean => metadata.deletionTimestamp === undefined;

function nextFree(choice: Choice, request: ClaimRequest, pool: Pool): bigint | undefined {
  const { knowledge, unread, deps, chosen } = choice;
  const { level, conflicts, conflictsSince, missed } = knowledge.stateOf(pool);
  if (mayBeKept(request, pool) && !knowledge.keptRead) {
    unread.kept = true;
    return undefined;
  }
  const alone = deps.reservations?.beginsAtLowest !== true;
  const order = alone ? orderOf(pool) : orderBeside(pool);
  if (
    level === LEVEL.nothing
      ? order !== 'spread' || conflictsSince >= CONFLICTS.first
      : conflictsSince >= CONFLICTS.later
  ) {
    const names = missed ? LEVEL.namesOfDomain : LEVEL.names;
    // Nothing was free before: what rests is wanted as well.
    unread.add(pool, level >= LEVEL.leases ? level : names);
    return undefined;
  }
  const { family } = pool.subnet.address;
  const isFree = (value: bigint): boolean => {
    const name = leaseName(pool.domain, { family, value });
    if (chosen.has(name) || knowledge.isTaken(pool.domain, name)) return false;
    if (heldOnNode(deps, pool.domain, { family, value }) !== undefined) return false;
    const row = deps.store.clusterLeases.get(name);
    return row === undefined || (row.state === 'resting' && (row.until ?? 0) <= deps.client.now());
  };
  const seed = seedOf(request, pool);
  if (level === LEVEL.nothing) {
    const at = spreadWalk(alone ? pool.usable : upperHalf(pool.usable), seed);
    for (let step = 0n; step < MOST_STEPS; step++) if (isFree(at(step))) return at(step);
    unread.add(pool, LEVEL.names);
    return undefined;
  }
  const pick = (free: bigint) => {
    const nth = order === 'spread' ? hashOf(`${seed} ${conflicts}`) % free : drawNear(seed, conflicts, free);
    return order === 'highest' ? free - 1n - nth : nth;
  };
  const onNode = heldOnNodeIn(deps, pool.domain, spanOf(pool)).map(
    ({ address }) => parseAddress(address).value,
  );
  const taken = new Set([...knowledge.takenIn(pool), ...onNode]);
  for (;;) {
    const sorted = [...taken].sort((a, b) => (a < b ? -1 : 1));
    const value = pickFree(pool.usable, sorted, pick);
    if (value === undefined || isFree(value)) return value;
    taken.add(value);
  }
}

const seedOf = ({ owner, ifname }: ClaimRequest, { domain, subnet }: Pool): string =>
  `${owner} ${ifname} ${domain} ${formatCidr(subnet)}`;

/** The first; many that claim at once have read the same, so each conflict spreads them over four times as many. */
function drawNear(seed: string, conflicts: number, count: bigint): bigint {
  const reach = 4n ** BigInt(Math.min(conflicts, 16));
  return hashOf(`${seed} ${conflicts}`) % (reach < count ? reach : count);
}

/** Once an address of a definition that keeps addresses is drawn: the pod before this one may have left one. */
const mayBeKept = ({ pod }: ClaimRequest, { terms }: Pool): boolean =>
  (terms.stickySeconds ?? 0) > 0 && pod.namespace !== undefined && isOfStatefulSet(pod.name);

/** True when more is taken than is known by whom: given from another subnet, or a moment ago. */
function hasUnknown(knowledge: ClusterKnowledge, pool: Pool): boolean {
  const isOfPool = ({ spec }: IpLease) =>
    spec.domain === pool.domain && isUsable(pool, parseAddress(spec.address));
  return BigInt([...knowledge.leases()].filter(isOfPool).length) < capacityOf(pool);
}

/** What rests and is over first, then what gives way since nothing else is free; the first freed before the others. */
function reusable({ knowledge, deps, chosen }: Choice, request: ClaimRequest, pool: Pool): KnownLease[] {
  const now = deps.client.now();
  const onNode = new Set(heldOnNodeIn(deps, pool.domain, spanOf(pool)).map(({ address }) => address));
  const isThere = (lease: IpLease) => {
    const { metadata, spec } = lease;
    if (!isLasting(lease)) return false;
    if (spec.domain !== pool.domain || chosen.has(metadata.name)) return false;
    if (onNode.has(spec.address)) return false;
    const row = deps.store.clusterLeases.get(metadata.name);
    return (row === undefined || row.state === 'resting') && isUsable(pool, parseAddress(spec.address));
  };
  const there = [...knowledge.leases()]
    .filter(isThere)
    .sort((a, b) => ((a.spec.released ?? '') < (b.spec.released ?? '') ? -1 : 1));
  const over = there.filter(({ spec }) => isOver(spec, now));
  const early = there.filter(({ spec }) => !isOver(spec, now) && restsByDefault(spec));
  const { conflicts } = knowledge.stateOf(pool);
  const drawn = [over, early].map((leases) => fromDrawn(leases, seedOf(request, pool), conflicts));
  return drawn.flat().map(knownLease);
}

/** Beginning with the one that is drawn. */
function fromDrawn(leases: readonly IpLease[], seed: string, conflicts: number): IpLease[] {
  if (leases.length === 0) return [];
  const first = Number(drawNear(seed, conflicts, BigInt(leases.length)));
  return [...leases.slice(first), ...leases.slice(0, first)];
}
