// The way back to Whereabouts: what Manifold has given is written into its pools and handed to it as its own
// reservations, so that every pod keeps its address.
import type { IpLease } from '../../ipam/ip-lease.ts';
import { offsetOf, poolName, reservationName } from '../../ipam/whereabouts/names.ts';
import {
  THEIR_POOLS,
  THEIR_RESERVATIONS,
  type TheirPool,
  type TheirReservation,
  WHEREABOUTS_GROUP,
} from '../../ipam/whereabouts/objects.ts';
import { networkOfDomain } from '../../ipam/whereabouts/our-reservation.ts';
import { readReservation } from '../../ipam/whereabouts/reservation-client.ts';
import { allocationsOf, TheirPools } from '../../ipam/whereabouts/their-pools.ts';
import { formatAddress, parseAddress } from '../../pkg/ip/address.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { Migration } from './migrate-read.ts';

export interface BackStep {
  readonly lease: IpLease;
  /** network_name. */
  readonly network: string;
}

/** The leases that pools of Whereabouts lack: held ones of pods. */
export function planBack({ leases, pools }: Migration): BackStep[] {
  const known = new Set(
    pools.flatMap((pool) =>
      allocationsOf(pool).map(({ at, allocation }) => `${allocation.podref} ${formatAddress(at)}`),
    ),
  );
  return leases
    .filter(({ spec }) => spec.phase === 'Held' && spec.owner.podName !== undefined)
    .filter((lease) => !known.has(`${podrefOf(lease)} ${lease.spec.address}`))
    .map((lease) => ({
      lease,
      network: networkOfDomain(lease.spec.domain) ?? lease.spec.domain.replace(/@.*/, ''),
    }));
}

const podrefOf = ({ spec: { owner } }: IpLease): string =>
  `${owner.podNamespace ?? ''}/${owner.podName ?? ''}`;

const ROUNDS = 20;

/** Writes one into the pool that it belongs to, which is made where there is none. */
export async function giveBack(
  client: KubeClient,
  namespace: string,
  { lease, network }: BackStep,
  signal: AbortSignal,
): Promise<void> {
  const { address, subnet, owner } = lease.spec;
  const at = parseAddress(address);
  const place = { namespace, signal };
  const allocation = { id: owner.containerID, podref: podrefOf(lease), ifname: owner.interface };
  for (let round = 0; round < ROUNDS; round++) {
    const pools = new TheirPools({ client, namespace: async () => namespace });
    const [pool] = await pools.read(network, { subnet }, at, signal);
    try {
      if (pool === undefined) {
        const fresh: TheirPool = {
          ...{ apiVersion: `${WHEREABOUTS_GROUP}/v1alpha1`, kind: 'IPPool' },
          metadata: { name: poolName(network, subnet) },
          spec: { range: subnet, allocations: {} },
        };
        await client.create(THEIR_POOLS, fresh, { ...place, isOurs: () => false });
        continue;
      }
      const { name, resourceVersion = '' } = pool.metadata;
      const patch = { spec: { allocations: { [offsetOf(pool.spec.range, at)]: allocation } } };
      await client.patch(THEIR_POOLS, name, patch, { ...place, resourceVersion });
      return await reserveFor(client, namespace, { lease, network }, signal);
    } catch (error) {
      if (!isKubeError(error, 'Conflict', 'AlreadyExists', 'NotFound')) throw error;
    }
  }
  throw new Error(`the pool of ${address} changes all the time`);
}

async function reserveFor(
  client: KubeClient,
  namespace: string,
  { lease, network }: BackStep,
  signal: AbortSignal,
): Promise<void> {
  const { address, owner, domain } = lease.spec;
  if (networkOfDomain(domain) === undefined) return;
  const place = { namespace, signal };
  const name = reservationName(network, parseAddress(address));
  if ((await readReservation(client, name, place)) !== undefined) return;
  const reservation: TheirReservation = {
    ...{
      apiVersion: `${WHEREABOUTS_GROUP}/v1alpha1`,
      kind: 'OverlappingRangeIPReservation',
      metadata: { name },
    },
    spec: { podref: podrefOf(lease), ifname: owner.interface },
  };
  await client.create(THEIR_RESERVATIONS, reservation, { ...place, isOurs: () => true });
}

/** Makes a reservation of ours one of theirs: without label and finalizer. */
export async function handOver(
  client: KubeClient,
  { metadata }: TheirReservation,
  label: string,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = '', resourceVersion = '' } = metadata;
  const patch = { metadata: { finalizers: null, labels: { [label]: null } } };
  await client.patch(THEIR_RESERVATIONS, name, patch, { namespace, resourceVersion, signal });
}
