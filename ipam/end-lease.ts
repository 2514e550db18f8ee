// How a lease ends, whoever ends it: checked by UID and resourceVersion at that moment, so that nothing ends what has
// changed hands since it was looked at.
import { isSameCluster } from '../pkg/kube/cluster-identity.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import { ifFound, isKubeError } from '../pkg/kube/kube-error.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { clusterOf, sayElsewhere } from './cluster-of.ts';
import { endedSpec, IP_LEASES, type IpLease, isHeldBy } from './ip-lease.ts';
import { leaseOfRow, objectState } from './lease-row.ts';
import { withRightTimes } from './right-times.ts';

export type Ending =
  /** `rests`: the object as it is now; absent when it is deleted. */
  | { readonly how: 'ended'; readonly rests?: IpLease }
  /** There is no such object any more. */
  | { readonly how: 'gone' }
  /** It is not what it was when it was read. */
  | { readonly how: 'changed' };

/** @param now milliseconds since the epoch, by the clock of the API server @throws KubeError when it cannot be asked */
export async function endLease(
  client: KubeClient,
  lease: IpLease,
  { now, signal }: { readonly now: number; readonly signal?: AbortSignal },
): Promise<Ending['how']> {
  return (await tryEnd(client, lease, now, signal)).how;
}

/** How often an object that changes while it is being ended is read again. */
const ROUNDS = 4;

async function tryEnd(
  client: KubeClient,
  lease: IpLease,
  now: number,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const place = signal === undefined ? {} : { signal };
  const { name, uid, resourceVersion } = lease.metadata;
  const spec = endedSpec(lease.spec, now);
  try {
    if (spec === undefined) {
      const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
      const outcome = await client.delete(IP_LEASES, name, { ...preconditions, ...place });
      return { how: outcome === 'deleted' ? 'ended' : 'gone' };
    }
    const rests = await client.replace<IpLease>(IP_LEASES, { ...lease, spec }, place);
    const endedAt = (right: number) => endedSpec(lease.spec, right) ?? spec;
    return { how: 'ended', rests: await withRightTimes(client, rests, now, endedAt, place) };
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return { how: 'gone' };
    if (isKubeError(error, 'Conflict')) return { how: 'changed' };
    throw error;
  }
}

/** Undefined when there is none. @throws KubeError */
export const readLease = (
  client: KubeClient,
  name: string,
  signal: AbortSignal,
): Promise<IpLease | undefined> => ifFound(client.get<IpLease>(IP_LEASES, name, { signal }));

/**
 * Marks rows of this node as releasing, in one transaction of its own or the caller's.
 * @returns them with what is known of their objects, for `endRow`: the store forgets that until the end is settled
 */
export function markReleasing(
  { store, client }: Pick<ClusterDeps, 'store'> & { readonly client: Pick<KubeClient, 'now'> },
  rows: readonly ClusterLeaseRecord[],
): ClusterLeaseRecord[] {
  return store.transaction(() =>
    rows.map((row) => {
      const released = row.released ?? client.now();
      const releasing = { ...row, state: 'releasing', released, writer: store.writer } as const;
      const { object: _inDoubt, ...stored } = releasing;
      store.clusterLeases.update(stored);
      return releasing;
    }),
  );
}

/**
 * Ends the object of a row that `markReleasing` has marked, and forgets the row, or remembers it as resting.
 * One of another cluster stays marked: no answer of this one says anything of it.
 * @throws KubeError when the API server cannot be asked: the row stays as it is, for `finishReleases`
 */
export async function endRow(deps: ClusterDeps, row: ClusterLeaseRecord, signal: AbortSignal): Promise<void> {
  if (!isSameCluster(row.cluster, await clusterOf(deps.client))) {
    putBack(deps, row);
    sayElsewhere(deps, [row]);
    return;
  }
  const rests = await endObject(deps, row, signal);
  deps.step?.('lease ended');
  await deps.reservations?.free(row, signal);
  settle(deps, row, rests);
}

async function endObject(
  deps: ClusterDeps,
  row: ClusterLeaseRecord,
  signal: AbortSignal,
): Promise<IpLease | undefined> {
  const { client, nodeName } = deps;
  let ending = await endKnown(deps, row, signal);
  for (let round = 0; round < ROUNDS && ending.how === 'changed'; round++) {
    const lease = await readLease(client, row.name, signal);
    // Another's, or ended already; on another node it is no business of this row's.
    if (lease === undefined || !isHeldBy(lease, row) || lease.spec.node !== nodeName) return undefined;
    // Asked after the reading: whoever claims it again says so in the row before the object changes.
    if (!isStill(deps.store.clusterLeases.get(row.name), row)) return undefined;
    ending = await tryEnd(client, lease, client.now(), signal);
  }
  // Whoever changes it that often is alive.
  return ending.how === 'ended' ? ending.rests : undefined;
}

/** By what the row knows of the object: the usual case needs no reading. */
async function endKnown(deps: ClusterDeps, row: ClusterLeaseRecord, signal: AbortSignal): Promise<Ending> {
  if (row.object === undefined) return { how: 'changed' };
  const now = deps.client.now();
  try {
    return await tryEnd(deps.client, leaseOfRow(row, deps.nodeName, now, row.object), now, signal);
  } catch (error) {
    // Surely not done: what the object was is what it is, and its owner may have it back without asking.
    if (isKubeError(error) && !error.maybeDone) putBack(deps, row);
    throw error;
  }
}

const isStill = (now: ClusterLeaseRecord | undefined, row: ClusterLeaseRecord): boolean =>
  now?.state === 'releasing' && now.owner === row.owner && now.containerId === row.containerId;

function settle({ store }: ClusterDeps, row: ClusterLeaseRecord, rests: IpLease | undefined): void {
  store.transaction(() => {
    // Its owner may have come back meanwhile: then the row is a claim again.
    if (!isStill(store.clusterLeases.get(row.name), row)) return;
    const object = rests && objectState(rests);
    const until = Date.parse(rests?.spec.until ?? '');
    if (object === undefined || Number.isNaN(until)) store.clusterLeases.remove(row);
    else store.clusterLeases.update({ ...row, state: 'resting', object, until });
  });
}

function putBack({ store }: ClusterDeps, row: ClusterLeaseRecord): void {
  if (row.object === undefined) return;
  store.transaction(() => {
    if (isStill(store.clusterLeases.get(row.name), row)) store.clusterLeases.update(row);
  });
}
