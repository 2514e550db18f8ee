// What kubectl shows of an IPPool: how many of its addresses are held, rest, and are free. Pure.

import { timeText } from '../../ipam/ip-lease.ts';
import type { IpPool, IpPoolStatus, PoolCondition } from '../../ipam/ip-pool.ts';
import type { Pool } from '../../ipam/pool.ts';
import { parsePoolSpec, poolOfSpec } from '../../ipam/pool-reference.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import { readAddress } from '../../pkg/ip/address.ts';
import { sizeOf } from '../../pkg/ip/range.ts';
import type { RawObject } from '../../pkg/kube/kube-client.ts';
import type { SeenLease } from './seen-lease.ts';

export interface SeenPool {
  readonly name: string;
  /** What it gives, or why it cannot be used. */
  readonly pool: Pool | { readonly unusable: string };
  readonly status: IpPoolStatus | undefined;
}

export function seenPool(object: RawObject): SeenPool {
  const { name } = object.metadata;
  const { status } = object as Partial<Pick<IpPool, 'status'>>;
  return { name, pool: usable(name, object.spec), status };
}

function usable(name: string, spec: unknown): SeenPool['pool'] {
  try {
    return poolOfSpec(name, parsePoolSpec(name, spec));
  } catch (error) {
    if (!isManifoldError(error, 'bad-config')) throw error;
    return { unusable: error.message };
  }
}

/** Addresses of one domain and family, sorted. */
interface Taken {
  readonly held: readonly bigint[];
  readonly resting: readonly bigint[];
}

export type TakenByDomain = ReadonlyMap<string, Taken>;

/** Made once for all pools. @param now by the clock of the API server: what is over may be given to anybody */
export function takenByDomain(leases: Iterable<SeenLease>, now: number): TakenByDomain {
  const taken = new Map<string, { held: bigint[]; resting: bigint[] }>();
  for (const { domain, address: text, phase, until } of leases) {
    const address = readAddress(text);
    if (address === undefined || (phase !== 'Held' && (until === undefined || until <= now))) continue;
    const key = `${address.family} ${domain}`;
    const of = taken.get(key) ?? { held: [], resting: [] };
    taken.set(key, of);
    (phase === 'Held' ? of.held : of.resting).push(address.value);
  }
  for (const { held, resting } of taken.values())
    for (const list of [held, resting]) list.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return taken;
}

/** @param now by the clock of the API server @returns undefined when the status is right as it is */
export function planPoolStatus(
  { pool, status: before }: SeenPool,
  taken: TakenByDomain,
  now: number,
): IpPoolStatus | undefined {
  const after = 'unusable' in pool ? unusableStatus(pool.unusable) : usableStatus(pool, taken);
  const conditions = after.conditions.map((condition) => {
    const same = before?.conditions?.find(({ type }) => type === condition.type);
    const lastTransitionTime =
      same?.status === condition.status ? same.lastTransitionTime : `${timeText(now).slice(0, 19)}Z`;
    return { ...condition, lastTransitionTime };
  });
  const planned = { ...after, conditions };
  return before !== undefined && isSame(before, planned) ? undefined : planned;
}

type NewCondition = Omit<PoolCondition, 'lastTransitionTime'>;
type NewStatus = Omit<IpPoolStatus, 'conditions'> & { readonly conditions: readonly NewCondition[] };

function usableStatus(pool: Pool, taken: TakenByDomain): NewStatus {
  const of = taken.get(`${pool.subnet.address.family} ${pool.domain}`);
  const within = (values: readonly bigint[] = []) =>
    pool.usable.reduce((sum, { first, last }) => sum + below(values, last + 1n) - below(values, first), 0);
  const capacity = pool.usable.reduce((sum, range) => sum + sizeOf(range), 0n);
  const used = within(of?.held);
  const resting = within(of?.resting);
  const free = capacity - BigInt(used) - BigInt(resting);
  const available: NewCondition =
    free > 0n
      ? { type: 'Available', status: 'True', reason: 'Free', message: 'An address is free.' }
      : { type: 'Available', status: 'False', reason: 'Exhausted', message: exhausted(used, resting) };
  return {
    ...{ capacity: String(capacity), used, resting, free: String(free) },
    conditions: [
      { type: 'Valid', status: 'True', reason: 'Usable', message: 'The spec can be used.' },
      available,
    ],
  };
}

const exhausted = (used: number, resting: number): string =>
  resting === 0 ? `All ${used} addresses are held.` : `${used} addresses are held, and ${resting} rest.`;

function unusableStatus(message: string): NewStatus {
  const unusable = { status: 'False', reason: 'Unusable', message } as const;
  return {
    ...{ capacity: '0', used: 0, resting: 0, free: '0' },
    conditions: [
      { type: 'Valid', ...unusable },
      { type: 'Available', ...unusable },
    ],
  };
}

/** How many of the sorted values are below this one. */
function below(values: readonly bigint[], limit: bigint): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? limit) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The API server answers the keys in an order of its own. */
function isSame(a: IpPoolStatus, b: IpPoolStatus): boolean {
  const text = ({ capacity, used, resting, free, conditions = [] }: IpPoolStatus) =>
    JSON.stringify([
      ...[capacity, used, resting, free],
      conditions.map(({ type, status, reason, message }) => [type, status, reason, message]),
    ]);
  return text(a) === text(b);
}
