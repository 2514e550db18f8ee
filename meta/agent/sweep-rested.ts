// Deletes leases that have rested, or were kept for a pod that did not come back. They could be taken over as they are:
// this only keeps the list short.
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { AgentDeps } from './agent-deps.ts';
import { atOnce } from './at-once.ts';
import { GoOn } from './go-on.ts';
import type { Leadership } from './leadership.ts';
import type { Mirror } from './mirror.ts';
import type { Pace } from './pace.ts';
import type { SeenLease } from './seen-lease.ts';

const AT_ONCE = 4;

export interface SweepParts {
  readonly leadership: Pick<Leadership, 'holds'>;
  readonly leases: Pick<Mirror<SeenLease>, 'values'>;
  readonly pace: Pace;
}

/** @throws KubeError */
export async function sweepRested(
  { client, log }: AgentDeps,
  { leadership, leases, pace }: SweepParts,
  signal: AbortSignal,
): Promise<void> {
  const now = client.now();
  // An end that cannot be read is no end.
  const over = Iterator.from(leases.values()).filter(
    ({ phase, until }) => phase !== 'Held' && (until === undefined || until <= now),
  );
  let count = 0;
  const goOn = new GoOn();
  const remove = async ({ name, uid, resourceVersion }: SeenLease): Promise<void> => {
    await pace.next(signal);
    if (!leadership.holds || signal.aborted) return;
    try {
      if ((await client.delete(IP_LEASES, name, { uid, resourceVersion, signal })) === 'deleted') count++;
    } catch (error) {
      // It was taken over since it was seen.
      if (!isKubeError(error, 'Conflict')) throw error;
    }
  };
  await atOnce(over.toArray(), AT_ONCE, (lease) => goOn.attempt(() => remove(lease)));
  if (count > 0) log.info('leases that have rested are deleted', { count });
  goOn.end();
}
