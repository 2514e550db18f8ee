// Who has the addresses, in words for people.
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { parseAddress } from '../pkg/ip/address.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { formatRange } from '../pkg/ip/range.ts';
import type { PodRef } from '../pkg/state/node-store.ts';
import { timeText } from './ip-lease.ts';
import type { KnownLease, LeaseView } from './lease-store.ts';
import { capacityOf, isUsable, type Pool, spanOf } from './pool.ts';

/** "tenant-a/web-0" where the runtime said so, else "container 0f2c". */
export function podName(pod: PodRef, containerId: string): string {
  if (pod.name === undefined) return `container ${containerId}`;
  return pod.namespace === undefined ? `pod ${pod.name}` : `pod ${pod.namespace}/${pod.name}`;
}

/** "10.0.0.10-10.0.0.20"; the subnet where the range is in many pieces. */
function poolName(pool: Pool): string {
  return pool.usable.length > 3
    ? `${formatCidr(pool.subnet)} without its exclusions`
    : pool.usable.map(formatRange).join(', ');
}

/** The error for a set of pools none of which has an address left. */
export function exhausted(
  verb: string,
  network: string,
  pools: readonly Pool[],
  view: LeaseView,
  code: 'no-address' | 'unavailable' = 'no-address',
): ManifoldError {
  const leases = pools.flatMap((pool) =>
    view.inRange(pool.domain, spanOf(pool)).filter(({ address }) => isUsable(pool, parseAddress(address))),
  );
  const resting = leases.filter(({ state }) => state === 'resting');
  const held = leases.filter(({ state }) => state !== 'resting');
  const size = pools.reduce((sum, pool) => sum + capacityOf(pool), 0n);
  const names = pools.map(poolName).join(' or ');
  const who = [
    sums(held, ({ pod, network: of }) => {
      const namespace = pod.namespace ?? 'callers that named no pod';
      return of === network ? namespace : `${namespace} on ${of}`;
    }),
    ...(held.some(({ node }) => node !== undefined)
      ? [`by node: ${sums(held, ({ node }) => node ?? 'of no name')}`]
      : []),
  ].join('; ');
  return new ManifoldError(
    code,
    `Cannot ${verb}: no address of network ${network} is free, ${
      BigInt(held.length) >= size
        ? `all ${size} of ${names} are held`
        : `of ${size} of ${names} ${held.length} are held`
    } (${who})${restText(resting)}`,
    { hint: HINT },
  );
}

const HINT =
  'Delete pods that need no address of it, or widen the range. Leases of pods that are gone are freed by their DEL, by GC or by the agent; "manifold status" and "kubectl get ipleases" list them.';

/** "; 3 rest, the first until 2026-01-01T00:00:00.000Z". */
function restText(resting: readonly KnownLease[]): string {
  if (resting.length === 0) return '';
  const first = Math.min(...resting.map(({ until = 0 }) => until));
  return `; ${resting.length} ${resting.length === 1 ? 'rests' : 'rest'}, the first until ${timeText(first)}`;
}

/** "tenant-a 4, tenant-b on rail1 2, others 1": the most first. */
function sums(leases: readonly KnownLease[], nameOf: (lease: KnownLease) => string): string {
  const counts = new Map<string, number>();
  for (const lease of leases) counts.set(nameOf(lease), (counts.get(nameOf(lease)) ?? 0) + 1);
  const most = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const shown = most.slice(0, 4).map(([name, count]) => `${name} ${count}`);
  const others = most.slice(4).reduce((sum, [, count]) => sum + count, 0);
  return [...shown, ...(others > 0 ? [`others ${others}`] : [])].join(', ');
}
