// One address for one owner at the API server: the object is created, or taken over when it rests, or is ours already.
import { isSameCluster } from '../pkg/kube/cluster-identity.ts';
import { isKubeError } from '../pkg/kube/kube-error.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import { clusterOf } from './cluster-of.ts';
import { endLease, readLease } from './end-lease.ts';
import {
  IP_LEASES,
  type IpLease,
  type IpLeaseSpec,
  isHeldBy,
  isOver,
  restsByDefault,
  timeText,
} from './ip-lease.ts';
import { isHeldHere, isKeptFor, leaseOfRow, type ObjectState, objectState, wasHeldBy } from './lease-row.ts';
import { withRightTimes } from './right-times.ts';

export type Obtained =
  | { readonly got: IpLease }
  /** Somebody else has it, or may not be asked to give it up; `by` where the object was read. */
  | { readonly taken: true; readonly by?: IpLease };

export interface ObtainOptions {
  readonly signal: AbortSignal;
  /** State of an object that is there and may be taken over as it stands. */
  readonly over?: ObjectState | undefined;
  /** Looks at what is there when there is something: else another address will do as well. */
  readonly insist?: boolean;
  /** Takes what rests by default and not by a definition's word too. */
  readonly early?: boolean;
  /** Asked before each write: false gives up. */
  readonly isWanted?: () => boolean;
}

const ROUNDS = 6;

/** @param row of this node's store, in state 'claiming' @throws KubeError */
export async function obtainLease(
  deps: ClusterDeps,
  row: ClusterLeaseRecord,
  options: ObtainOptions,
): Promise<Obtained> {
  const { reservations, client } = deps;
  const { signal } = options;
  const reservation = await reservations?.reserve(row, signal);
  if (reservation?.reserved === false) return { taken: true, by: reservation.by };
  let over = options.over;
  for (let round = 0; round < ROUNDS && options.isWanted?.() !== false; round++) {
    deps.step?.('ask for lease');
    const got = over === undefined ? await create(deps, row, signal) : await replace(deps, row, over, signal);
    if (typeof got === 'object') return isGoing(got) ? givenUp(deps, row, got, signal) : { got };
    if (got === 'gone') {
      over = undefined;
      continue;
    }
    // Where a later call of the same owner has taken the row over, what is there is most likely its own.
    const isOtherAsGood = !options.insist && over === undefined && isStillOurs(deps, row);
    if (isOtherAsGood) return givenUp(deps, row, undefined, signal);
    const found = await readLease(client, row.name, signal);
    over = undefined;
    if (found === undefined) continue;
    if (isGoing(found)) return givenUp(deps, row, found, signal);
    // A later call of the same owner has made it its own: it is right as it is.
    const isOurs = isHeldHere(found, row, deps.nodeName, row.object);
    if (isOurs && !isStillOurs(deps, row)) return { got: found };
    if (!isOurs && !mayTake(found, row, client.now(), options)) return givenUp(deps, row, found, signal);
    over = objectState(found);
  }
  return givenUp(deps, row, undefined, signal);
}

/** It is deleted once its finalizers are gone, whoever has it then: the address is nobody's to have until it is. */
const isGoing = ({ metadata }: IpLease): boolean => metadata.deletionTimestamp !== undefined;

async function givenUp(
  { reservations }: ClusterDeps,
  row: ClusterLeaseRecord,
  by: IpLease | undefined,
  signal: AbortSignal,
): Promise<Obtained> {
  await reservations?.free(row, signal);
  return { taken: true, ...(by !== undefined && { by }) };
}

/** Of a lease that this owner does not hold. */
function mayTake(
  lease: IpLease,
  row: ClusterLeaseRecord,
  now: number,
  { early = false }: Pick<ObtainOptions, 'early'>,
): boolean {
  return (
    wasHeldBy(lease, row) ||
    isKeptFor(lease, row) ||
    isOver(lease.spec, now) ||
    (early && restsByDefault(lease.spec))
  );
}

/** @returns 'there' when an object of this name is there */
async function create(
  { client, nodeName }: ClusterDeps,
  row: ClusterLeaseRecord,
  signal: AbortSignal,
): Promise<IpLease | 'there'> {
  const isOurs = (found: IpLease) => isHeldBy(found, row) && found.spec.owner.containerID === row.containerId;
  try {
    const before = client.now();
    const lease = leaseOfRow({ ...row, acquired: before }, nodeName, before, undefined);
    const made = await client.create<IpLease>(IP_LEASES, lease, { isOurs, signal });
    return await withRightTimes(client, made, before, timed(made, true), { signal });
  } catch (error) {
    if (isKubeError(error, 'AlreadyExists')) return 'there';
    throw error;
  }
}

/** @param isNew its owner had not had it until then */
const timed =
  ({ spec }: IpLease, isNew: boolean) =>
  (now: number): IpLeaseSpec => {
    const text = timeText(now);
    return { ...spec, renewed: text, ...(isNew && { acquired: text }) };
  };

async function replace(
  { client, nodeName }: ClusterDeps,
  row: ClusterLeaseRecord,
  over: ObjectState,
  signal: AbortSignal,
): Promise<IpLease | 'gone' | 'changed'> {
  try {
    const before = client.now();
    const wanted = leaseOfRow(row, nodeName, before, over);
    const made = await client.replace<IpLease>(IP_LEASES, wanted, { signal });
    return await withRightTimes(client, made, before, timed(made, row.object === undefined), { signal });
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return 'gone';
    if (isKubeError(error, 'Conflict')) return 'changed';
    throw error;
  }
}

function isStillOurs({ store }: ClusterDeps, row: ClusterLeaseRecord): boolean {
  const now = store.clusterLeases.get(row.name);
  return now?.containerId === row.containerId && now.writer.pid === row.writer.pid;
}

/**
 * Brings the object of a held row up to date, and makes it again when it is gone.
 * @returns 'lost' when somebody else holds the address, or the object is being deleted: two interfaces may have it;
 *   'over' when a call has ended or changed the row meanwhile, and when it is of another cluster
 * @throws KubeError
 */
export async function reaffirm(
  deps: ClusterDeps,
  row: ClusterLeaseRecord,
  signal: AbortSignal,
): Promise<'renewed' | 'lost' | 'over'> {
  const { clusterLeases } = deps.store;
  if (!isSameCluster(row.cluster, await clusterOf(deps.client))) return 'over';
  const isAsItWas = () => {
    const now = clusterLeases.get(row.name);
    return now?.state === row.state && now.owner === row.owner && now.containerId === row.containerId;
  };
  const obtained = await obtainLease(deps, row, {
    ...{ signal, over: row.object, insist: true, isWanted: isAsItWas },
  });
  if (!('got' in obtained)) return isAsItWas() ? 'lost' : 'over';
  const object = objectState(obtained.got);
  const isStill = deps.store.transaction(() => {
    if (!isAsItWas()) return false;
    if (object !== undefined) clusterLeases.update({ ...row, object });
    return true;
  });
  if (isStill) return 'renewed';
  await endUnwanted(deps, row, obtained.got, signal);
  return 'over';
}

/** A DEL has ended it as it was being written: nobody else would end it again. */
async function endUnwanted(
  { client, store }: ClusterDeps,
  row: ClusterLeaseRecord,
  lease: IpLease,
  signal: AbortSignal,
): Promise<void> {
  const now = store.clusterLeases.get(row.name);
  // Whoever has the row ends it, or makes it its own.
  if (now !== undefined && now.state !== 'resting') return;
  await endLease(client, lease, { now: client.now(), signal });
}
