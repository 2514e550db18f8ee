// The reservation with Whereabouts that a claim made beside its lease, while the two shared the cluster.
import type { IpLease } from '../../ipam/ip-lease.ts';
import { THEIR_RESERVATIONS, type TheirReservation } from '../../ipam/whereabouts/objects.ts';
import { CLAIM_LABEL, nameFor, networkOfDomain, ownerOf } from '../../ipam/whereabouts/our-reservation.ts';
import { letGo } from '../../ipam/whereabouts/reservation-client.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';

/** Takes back what stood for this lease. @returns what was done, in words */
export async function releaseReservations(client: KubeClient, { spec }: IpLease): Promise<string[]> {
  const network = networkOfDomain(spec.domain);
  if (network === undefined) return [];
  try {
    const { items } = await client.list<TheirReservation>(THEIR_RESERVATIONS, {
      labelSelector: CLAIM_LABEL,
      fieldSelector: `metadata.name=${nameFor(network, spec)}`,
    });
    const own = items.filter(
      (one) => ownerOf(one) === spec.owner.uid && one.spec.ifname === spec.owner.interface,
    );
    for (const one of own) await letGo(client, one, { namespace: one.metadata.namespace ?? '' });
    return own.map(
      ({ metadata }) =>
        `Its reservation with Whereabouts is removed, too: ${metadata.namespace}/${metadata.name}.`,
    );
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return [];
    if (!isKubeError(error, 'Forbidden')) throw error;
    return [`A reservation with Whereabouts may be left: ${error.message}`];
  }
}
