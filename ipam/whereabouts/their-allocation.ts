// The DEL of a container that Whereabouts has attached before this node was moved over: its allocation, its reservation
// and the lease that the migration has made of them end as its own DEL would have ended them.
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { ForeignRange } from '../cluster-deps.ts';
import { endLease, readLease } from '../end-lease.ts';
import { leaseName } from '../lease-name.ts';
import { reservationName } from './names.ts';
import { THEIR_POOLS, THEIR_RESERVATIONS, type TheirPool } from './objects.ts';
import { isOurs, networkOfDomain } from './our-reservation.ts';
import { readReservation, type WhereaboutsDeps } from './reservation-client.ts';
import { allocationsOf, type PlacedAllocation, type TheirPools } from './their-pools.ts';

export interface TheirContainer {
  readonly containerId: string;
  readonly ifname: string;
}

/** How often a pool that changes meanwhile is read again. */
const ROUNDS = 10;

/** @returns how many addresses were freed @throws KubeError */
export async function endTheirs(
  deps: WhereaboutsDeps,
  pools: TheirPools,
  container: TheirContainer,
  ranges: readonly ForeignRange[],
  signal: AbortSignal,
): Promise<number> {
  let ended = 0;
  for (const { domain, subnet } of ranges) {
    const network = networkOfDomain(domain) ?? domain.slice(0, domain.indexOf('@'));
    for (let round = 0; round < ROUNDS; round++) {
      const read = await pools.read(network, { subnet }, undefined, signal);
      const found = read.flatMap((pool) => ofContainer(pool, container).map((placed) => ({ pool, placed })));
      const outcomes = [];
      for (const { pool, placed } of found)
        outcomes.push(await endOne(deps, { domain, network, pool, placed }, signal));
      ended += outcomes.filter((done) => done).length;
      if (outcomes.every((done) => done)) break;
    }
  }
  return ended;
}

/** Old data has no ifname: then the container alone says it. */
const ofContainer = (pool: TheirPool, { containerId, ifname }: TheirContainer): PlacedAllocation[] =>
  allocationsOf(pool).filter(
    ({ allocation }) =>
      allocation.id === containerId && (allocation.ifname === undefined || allocation.ifname === ifname),
  );

interface Found {
  readonly domain: string;
  readonly network: string;
  readonly pool: TheirPool;
  readonly placed: PlacedAllocation;
}

/** The lease first: while the allocation is there, nobody else has the address. @returns false when the pool has changed */
async function endOne(
  deps: WhereaboutsDeps,
  { domain, network, pool, placed: { at, offset, allocation } }: Found,
  signal: AbortSignal,
): Promise<boolean> {
  const { client } = deps;
  const place = { namespace: await deps.namespace(), signal };
  const lease = await readLease(client, leaseName(domain, at), signal);
  if (lease?.spec.phase === 'Held' && lease.spec.owner.containerID === allocation.id)
    await endLease(client, lease, { now: client.now(), signal });
  const name = reservationName(network, at);
  const reservation = await readReservation(client, name, place);
  const theirs =
    reservation !== undefined && !isOurs(reservation) && reservation.spec.podref === allocation.podref;
  if (theirs)
    await client.delete(THEIR_RESERVATIONS, name, { ...place, uid: reservation.metadata.uid ?? '' });
  try {
    const { name: ofPool, resourceVersion = '' } = pool.metadata;
    const patch = { spec: { allocations: { [offset]: null } } };
    await client.patch(THEIR_POOLS, ofPool, patch, { ...place, resourceVersion });
    return true;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return true;
    if (isKubeError(error, 'Conflict')) return false;
    throw error;
  }
}
