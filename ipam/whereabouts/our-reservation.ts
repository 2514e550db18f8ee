// The OverlappingRangeIPReservation that stands for a claim of ours, so that Whereabouts gives the address to nobody.
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { parseAddress } from '../../pkg/ip/address.ts';
import type { ClusterLeaseRecord } from '../../pkg/state/node-store.ts';
import { timeText } from '../ip-lease.ts';
import { reservationName } from './names.ts';
import { type TheirReservation, WHEREABOUTS_GROUP } from './objects.ts';

/** By which ours are found: kubectl get overlappingrangeipreservations -A -l ipam.manifold.dev/claim */
export const CLAIM_LABEL = 'ipam.manifold.dev/claim';
/**
 * Whereabouts deletes reservations by name alone: in the DEL of an ADD that failed because we had the address, and in
 * its reconciler, for it looks for their pods in its pools only. With a finalizer they stay until we let go.
 */
const CLAIM_FINALIZER = 'ipam.manifold.dev/claim';
const OWNER = 'ipam.manifold.dev/owner';
const SINCE = 'ipam.manifold.dev/since';

/** Who a reservation is for. */
export type Claimant = Pick<
  ClusterLeaseRecord,
  'domain' | 'address' | 'owner' | 'ifname' | 'containerId' | 'pod'
>;

/**
 * network_name of a domain; undefined for one of enable_overlapping_ranges false, which Whereabouts makes no
 * reservations for.
 */
export const networkOfDomain = (domain: string): string | undefined =>
  domain.includes('@') ? undefined : domain;

export const nameFor = (network: string, { address }: Pick<Claimant, 'address'>): string =>
  reservationName(network, parseAddress(address));

/** @param now milliseconds since the epoch */
export function reservationFor(name: string, claimant: Claimant, now: number): TheirReservation {
  return {
    apiVersion: `${WHEREABOUTS_GROUP}/v1alpha1`,
    kind: 'OverlappingRangeIPReservation',
    metadata: {
      name,
      labels: { [CLAIM_LABEL]: 'true' },
      annotations: annotationsFor(claimant, now),
      finalizers: [CLAIM_FINALIZER],
    },
    spec: specFor(claimant),
  };
}

const annotationsFor = ({ owner }: Claimant, now: number) => ({ [OWNER]: owner, [SINCE]: timeText(now) });

const specFor = ({ pod, ifname, containerId }: Claimant) => ({
  podref: `${pod.namespace ?? ''}/${pod.name ?? containerId}`,
  ifname,
  containerid: containerId,
});

/** Makes a reservation of ours that of another claimant. */
export const takeOverPatch = (claimant: Claimant, now: number): JsonObject => ({
  metadata: { annotations: annotationsFor(claimant, now) },
  spec: specFor(claimant),
});

export const isOurs = ({ metadata }: TheirReservation): boolean =>
  metadata.labels?.[CLAIM_LABEL] !== undefined;

export const isOfOwner = (found: TheirReservation, { owner, ifname }: Claimant): boolean =>
  isOurs(found) && found.metadata.annotations?.[OWNER] === owner && found.spec.ifname === ifname;

export const isOfContainer = (found: TheirReservation, claimant: Claimant): boolean =>
  isOfOwner(found, claimant) && found.spec.containerid === claimant.containerId;

export const ownerOf = ({ metadata }: TheirReservation): string | undefined => metadata.annotations?.[OWNER];

/** Milliseconds since the epoch. */
export const sinceOf = ({ metadata }: TheirReservation): number => {
  const since = Date.parse(metadata.annotations?.[SINCE] ?? '');
  return Number.isNaN(since) ? 0 : since;
};
