// Who has the addresses, in words for people.
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { formatRange, sizeOf } from '../pkg/ip/range.ts';
import type { LeaseRecord, PodRef } from '../pkg/state/node-store.ts';
import type { LeaseView } from './lease-store.ts';
import { type Pool, spanOf } from './pool.ts';

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
  const held = pools.flatMap((pool) =>
    view.inRange(pool.domain, spanOf(pool)).filter((lease) => lease.state !== 'resting'),
  );
  const size = pools.flatMap((pool) => pool.usable).reduce((sum, range) => sum + sizeOf(range), 0n);
  const names = pools.map(poolName).join(' or ');
  return new ManifoldError(
    code,
    `Cannot ${verb}: no address of network ${network} is free, all ${size} of ${names} are held (${holders(held, network)})`,
    {
      hint: 'Delete pods that need no address of it, or widen the range. Leases of pods that are gone are freed by their DEL or by GC; "manifold status" lists them.',
    },
  );
}

/** "tenant-a 4, tenant-b on rail1 2, others 1": by namespace, and by network where it is another. */
function holders(leases: readonly LeaseRecord[], network: string): string {
  const counts = new Map<string, number>();
  for (const lease of leases) {
    const namespace = lease.pod.namespace ?? 'callers that named no pod';
    const name = lease.network === network ? namespace : `${namespace} on ${lease.network}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const most = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const shown = most.slice(0, 4).map(([name, count]) => `${name} ${count}`);
  const others = most.slice(4).reduce((sum, [, count]) => sum + count, 0);
  return [...shown, ...(others > 0 ? [`others ${others}`] : [])].join(', ');
}
