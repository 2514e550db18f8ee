// Who has an address by the objects of Whereabouts, where it is in the cluster: for an address that has no lease.

import { meaningsOf } from '../../ipam/whereabouts/names.ts';
import {
  THEIR_POOLS,
  THEIR_RESERVATIONS,
  type TheirPool,
  type TheirReservation,
} from '../../ipam/whereabouts/objects.ts';
import { isOurs } from '../../ipam/whereabouts/our-reservation.ts';
import { allocationsOf } from '../../ipam/whereabouts/their-pools.ts';
import { type Address, sameAddress } from '../../pkg/ip/address.ts';
import type { KubeClient, KubeObject, KubeResource } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';

/** A sentence for each object that names it. */
export async function theirHolders(client: KubeClient, address: Address): Promise<string[]> {
  const [pools, reservations] = await Promise.all([
    listWhereAllowed<TheirPool>(client, THEIR_POOLS),
    listWhereAllowed<TheirReservation>(client, THEIR_RESERVATIONS),
  ]);
  const allocated = pools.flatMap((pool) =>
    allocationsOf(pool)
      .filter(({ at }) => sameAddress(at, address))
      .map(({ allocation }) => holding(allocation.podref, 'pool', pool)),
  );
  const reserved = reservations
    .filter((one) => meaningsOf(one.metadata.name).some((meaning) => sameAddress(meaning.address, address)))
    .map((one) =>
      isOurs(one)
        ? `A claim of Manifold for ${one.spec.podref} is under way, or has died: its reservation is ${nameOf(one)}.`
        : holding(one.spec.podref, 'reservation', one),
    );
  const found = [...allocated, ...reserved];
  return found.length === 0
    ? []
    : [...found, 'manifold migrate whereabouts makes leases of what Whereabouts has given.'];
}

const nameOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;

const holding = (podref: string, kind: string, object: KubeObject): string =>
  `Whereabouts has given it to ${podref} (${kind} ${nameOf(object)}).`;

/** None where Whereabouts is not installed, or this reader may not see it. */
async function listWhereAllowed<T extends KubeObject>(
  client: KubeClient,
  resource: KubeResource,
): Promise<readonly T[]> {
  try {
    return (await client.list<T>(resource)).items;
  } catch (error) {
    if (isKubeError(error, 'NotFound', 'Forbidden')) return [];
    throw error;
  }
}
