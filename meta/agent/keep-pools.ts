// Writes the status of each IPPool where it has changed.
import { IP_POOLS } from '../../ipam/ip-pool.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { AgentDeps } from './agent-deps.ts';
import type { Leadership } from './leadership.ts';
import type { Mirror } from './mirror.ts';
import { planPoolStatus, type SeenPool, takenByDomain } from './pool-status.ts';
import type { SeenLease } from './seen-lease.ts';

export interface PoolParts {
  readonly leadership: Pick<Leadership, 'holds'>;
  readonly leases: Pick<Mirror<SeenLease>, 'values'>;
  readonly pools: Pick<Mirror<SeenPool>, 'values' | 'size'>;
}

/** @throws KubeError */
export async function keepPools(
  { client, log }: AgentDeps,
  { leadership, leases, pools }: PoolParts,
  signal: AbortSignal,
): Promise<void> {
  if (pools.size === 0) return;
  const now = client.now();
  const taken = takenByDomain(leases.values(), now);
  for (const pool of [...pools.values()]) {
    const status = planPoolStatus(pool, taken, now);
    if (status === undefined) continue;
    if (!leadership.holds || signal.aborted) return;
    try {
      await client.patch(
        IP_POOLS,
        pool.name,
        { status: { ...status, conditions: status.conditions.map((condition) => ({ ...condition })) } },
        { subresource: 'status', signal },
      );
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      continue;
    }
    if ('unusable' in pool.pool)
      log.warn('an IPPool cannot be used', { pool: pool.name, reason: pool.pool.unusable });
  }
}
