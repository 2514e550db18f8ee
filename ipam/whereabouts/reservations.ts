// While Whereabouts may run in the same cluster: each claim of ours also makes its reservation, before the lease.
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { type Address, parseAddress } from '../../pkg/ip/address.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { Reservations } from '../cluster-deps.ts';
import { readLease } from '../end-lease.ts';
import type { IpLease } from '../ip-lease.ts';
import { leaseName } from '../lease-name.ts';
import { meaningsOf } from './names.ts';
import { THEIR_RESERVATIONS, type TheirReservation } from './objects.ts';
import {
  type Claimant,
  isOfContainer,
  isOfOwner,
  isOurs,
  nameFor,
  networkOfDomain,
  ownerOf,
  reservationFor,
  sinceOf,
  takeOverPatch,
} from './our-reservation.ts';
import {
  isInstalled,
  letGo,
  listReservations,
  readReservation,
  type WhereaboutsDeps,
} from './reservation-client.ts';
import { tellingAbsence } from './telling-absence.ts';
import { endTheirs } from './their-allocation.ts';
import { leaseOfTheirs } from './their-holder.ts';
import { TheirPools } from './their-pools.ts';

/** A claim of ours that has no lease after so long is what a dead process left: no claim takes that long. */
const STALE_MS = 60_000;
const ROUNDS = 4;

export function createReservations(given: WhereaboutsDeps): Reservations {
  const client = tellingAbsence(given.client);
  const deps = { ...given, client };
  const pools = new TheirPools(deps);
  /** Whereabouts is not installed: looked at once a process. */
  let absent = false;

  async function reserve(claimant: Claimant & { readonly subnet: string }, signal: AbortSignal) {
    if (absent) return { reserved: true } as const;
    const network = networkOfDomain(claimant.domain);
    if (network === undefined) {
      absent = !(await isInstalled(deps, signal));
      if (absent) return { reserved: true } as const;
      throw cannotShare(claimant);
    }
    const by = await obtain(network, claimant, signal);
    if (by !== undefined) return { reserved: false, by } as const;
    if (absent) return { reserved: true } as const;
    const holder = await pools.holderOf(network, claimant, signal);
    if (holder === undefined) return { reserved: true } as const;
    // Without a reservation of its own: it never made one, or its reconciler has lost it.
    await free(claimant, signal);
    return {
      reserved: false,
      by: leaseOfTheirs(claimant.domain, parseAddress(claimant.address), holder),
    } as const;
  }

  /** @returns who has it when it is not ours */
  async function obtain(
    network: string,
    claimant: Claimant,
    signal: AbortSignal,
  ): Promise<IpLease | undefined> {
    const name = nameFor(network, claimant);
    const place = { namespace: await deps.namespace(), signal };
    for (let round = 0; round < ROUNDS; round++) {
      try {
        const isOurs = (found: TheirReservation) => isOfContainer(found, claimant);
        await client.create(THEIR_RESERVATIONS, reservationFor(name, claimant, client.now()), {
          ...place,
          isOurs,
        });
        return undefined;
      } catch (error) {
        absent = isKubeError(error, 'NotFound');
        if (absent) return undefined;
        if (!isKubeError(error, 'AlreadyExists')) throw advised(error);
      }
      const found = await readReservation(client, name, place);
      if (found === undefined || isOfContainer(found, claimant)) {
        if (found === undefined) continue;
        return undefined;
      }
      if (!(await mayTakeOver(found, claimant, signal))) return heldBy(claimant, found);
      if (await takeOver(found, claimant, place)) return undefined;
    }
    return leaseOfTheirs(claimant.domain, parseAddress(claimant.address), { podref: '/' });
  }

  async function mayTakeOver(
    found: TheirReservation,
    claimant: Claimant,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (isOfOwner(found, claimant)) return true;
    if (!isOurs(found) || client.now() - sinceOf(found) < STALE_MS) return false;
    const lease = await readLease(client, leaseName(claimant.domain, parseAddress(claimant.address)), signal);
    return lease?.spec.phase !== 'Held' || lease.spec.owner.uid !== ownerOf(found);
  }

  async function takeOver(
    found: TheirReservation,
    claimant: Claimant,
    place: { readonly namespace: string; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { name, resourceVersion = '' } = found.metadata;
    try {
      const patch = takeOverPatch(claimant, client.now());
      await client.patch(THEIR_RESERVATIONS, name, patch, { ...place, resourceVersion });
      return true;
    } catch (error) {
      if (isKubeError(error, 'Conflict', 'NotFound')) return false;
      throw error;
    }
  }

  async function free(claimant: Claimant, signal: AbortSignal): Promise<void> {
    const network = networkOfDomain(claimant.domain);
    if (absent || network === undefined) return;
    const place = { namespace: await deps.namespace(), signal };
    for (let round = 0; round < ROUNDS; round++) {
      const found = await readReservation(client, nameFor(network, claimant), place);
      if (found === undefined || !isOfContainer(found, claimant)) return;
      if (await letGo(client, found, place)) return;
    }
  }

  return {
    get beginsAtLowest() {
      return !absent;
    },
    reserve,
    free,
    async taken(domain, signal) {
      const network = networkOfDomain(domain);
      if (absent || network === undefined) return [];
      const list = await listReservations(client, await deps.namespace(), signal).catch((error: unknown) => {
        throw advised(error);
      });
      absent = list === undefined;
      return (list?.items ?? []).flatMap((item) => {
        // What ours stand for, the leases say.
        const address = isOurs(item) ? undefined : addressIn(network, item);
        return address === undefined ? [] : [leaseOfTheirs(domain, address, holderIn(item))];
      });
    },
    endTheirs: (holder, ranges, signal) => endTheirs(deps, pools, holder, ranges, signal),
  };
}

/** The first meaning is the one with the longest address: of an unnamed network it is the one that is meant. */
const addressIn = (network: string, { metadata: { name } }: TheirReservation): Address | undefined =>
  meaningsOf(name).find((meaning) => meaning.network === network)?.address;

const holderIn = ({ metadata, spec }: TheirReservation) => ({
  podref: spec.podref,
  ifname: spec.ifname,
  container: spec.containerid,
  since: metadata.creationTimestamp,
});

const heldBy = ({ domain, address }: Claimant, found: TheirReservation): IpLease =>
  leaseOfTheirs(domain, parseAddress(address), holderIn(found));

const cannotShare = ({ address, domain }: Claimant): ManifoldError =>
  new ManifoldError(
    'bad-config',
    `Cannot share ${address} with Whereabouts: it makes no reservations where enable_overlapping_ranges is false (${domain})`,
    {
      hint: 'Move all nodes of this network over at once and set manifold.whereabouts to "closed", or set enable_overlapping_ranges to true.',
    },
  );

function advised(error: unknown): unknown {
  if (!isKubeError(error, 'Forbidden')) return error;
  return new ManifoldError(error.code, error.message, {
    hint: 'Whereabouts is installed in this cluster: bind the ClusterRole manifold-migration (deploy/rbac.yaml says how); where it gives no addresses any more, set manifold.whereabouts to "closed".',
    cause: error,
  });
}
