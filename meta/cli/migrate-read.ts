// All that the migration from Whereabouts decides by, read from the cluster.
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { entriesOf } from '../../ipam/whereabouts/migration/entries.ts';
import { definitionFacts, podFact } from '../../ipam/whereabouts/migration/facts.ts';
import { type MigrationPlan, planMigration } from '../../ipam/whereabouts/migration/plan.ts';
import {
  THEIR_POOLS,
  THEIR_RESERVATIONS,
  THEIR_SLICES,
  type TheirPool,
  type TheirReservation,
  type TheirSlicePool,
} from '../../ipam/whereabouts/objects.ts';
import { isOurs } from '../../ipam/whereabouts/our-reservation.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient, KubeObject, KubeResource, RawObject } from '../../pkg/kube/kube-client.ts';
import { ifFound } from '../../pkg/kube/kube-error.ts';
import { PODS } from '../agent/seen-pod.ts';

const DEFINITIONS: KubeResource = {
  group: 'k8s.cni.cncf.io',
  version: 'v1',
  plural: 'network-attachment-definitions',
  kind: 'NetworkAttachmentDefinition',
  namespaced: true,
};

export interface Migration {
  readonly plan: MigrationPlan;
  readonly pools: readonly TheirPool[];
  readonly leases: readonly IpLease[];
  /** Reservations that stand for claims of ours. */
  readonly ours: readonly TheirReservation[];
}

/** @throws ManifoldError 'not-found' when there is nothing of Whereabouts in the cluster, or no IPLease to migrate to */
export async function readMigration(
  client: KubeClient,
  restSeconds: number,
  signal?: AbortSignal,
): Promise<Migration> {
  const all = <T extends KubeObject>(resource: KubeResource) => listIfThere<T>(client, resource, signal);
  // Pods last: one that was attached meanwhile is then known, and not taken for gone.
  const [pools, reservations, slices, definitions, leases] = await Promise.all([
    all<TheirPool>(THEIR_POOLS),
    all<TheirReservation>(THEIR_RESERVATIONS),
    all<TheirSlicePool>(THEIR_SLICES),
    all<RawObject>(DEFINITIONS),
    all<IpLease>(IP_LEASES),
  ]);
  if (pools === undefined && reservations === undefined)
    throw new ManifoldError(
      'not-found',
      'Cannot find anything of Whereabouts: its definitions are not in this cluster',
      {
        hint: 'Is it the right cluster? --verbose says which one is asked.',
      },
    );
  if (leases === undefined)
    throw new ManifoldError('not-found', 'Cannot migrate: the definition of IPLease is not in this cluster', {
      hint: 'kubectl apply -f deploy/crds/',
    });
  const pods = (await all<RawObject>(PODS)) ?? [];
  const facts = (definitions ?? []).flatMap(definitionFacts);
  const found = entriesOf({
    ...{ pools: pools ?? [], reservations: reservations ?? [], slices: slices ?? [] },
    definitions: facts,
  });
  const plan = planMigration({
    ...{ found, definitions: facts, pods: pods.map(podFact), leases, now: client.now(), restSeconds },
  });
  return { plan, pools: pools ?? [], leases, ours: (reservations ?? []).filter(isOurs) };
}

/** Of all namespaces; undefined where the cluster does not know the resource. */
async function listIfThere<T extends KubeObject>(
  client: KubeClient,
  resource: KubeResource,
  signal: AbortSignal | undefined,
): Promise<readonly T[] | undefined> {
  const list = await ifFound(client.list<T>(resource, signal === undefined ? {} : { signal }));
  return list?.items;
}
