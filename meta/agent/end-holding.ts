// Ends leases that no DEL will end. One of this node as a DEL does it, where the store has a row; where there is none, or
// of another node, at the API server alone.
import { endLease, endRow, markReleasing, readLease } from '../../ipam/end-lease.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { type AgentDeps, type AgentSettings, clusterDeps } from './agent-deps.ts';
import type { Holding } from './holdings.ts';
import { readEvidence } from './node-evidence.ts';
import { isStillHeldBy, type SeenLease } from './seen-lease.ts';

/** changed: it is not any more what was decided about, and is left alone. */
export type EndOutcome = 'ended' | 'gone' | 'changed';

/** @throws ManifoldError */
export async function endOwn(
  deps: AgentDeps,
  settings: AgentSettings,
  store: NodeStore | undefined,
  { name, owner, lease }: Holding,
  signal: AbortSignal,
): Promise<EndOutcome> {
  // The node's rows say what an ADD may be doing by now: from here to the mark nothing else can write them.
  const marked = store?.transaction(() => {
    const evidence = readEvidence(store, deps.kernel);
    const sandbox = evidence.sandbox(owner.uid);
    if (sandbox === 'in-hand' || sandbox === 'there') return 'changed';
    const row = evidence.rows.find((one) => one.name === name);
    if (row === undefined) return undefined;
    if (row.owner !== owner.uid || row.ifname !== owner.ifname || row.containerId !== owner.containerId)
      return 'changed';
    return markReleasing({ store, client: deps.client }, [row]);
  });
  if (marked === 'changed') return 'changed';
  if (store !== undefined && marked !== undefined) {
    for (const row of marked) await endRow(clusterDeps(deps, settings, store), row, signal);
    return 'ended';
  }
  return lease === undefined ? 'gone' : endSeen(deps, lease, signal);
}

/** Of a lease that no agent will end as things are. */
export const releaseHint = (address: string): string =>
  `"manifold leases why ${address}" says what is known. Where no pod has it: manifold leases release ${address} --force`;

/** Read again, and ended only as it was read. @throws KubeError */
export async function endSeen(
  { client, reservations }: AgentDeps,
  seen: SeenLease,
  signal: AbortSignal,
): Promise<EndOutcome> {
  const found = await readLease(client, seen.name, signal);
  if (found !== undefined && !isStillHeldBy(found, seen)) return 'changed';
  const outcome = found === undefined ? 'gone' : await endLease(client, found, { now: client.now(), signal });
  if (outcome === 'ended') await reservations?.free(reservedBy(seen), signal);
  return outcome;
}

const reservedBy = ({ domain, address, owner }: SeenLease) => ({
  ...{ domain, address, owner: owner.uid, ifname: owner.ifname, containerId: owner.containerId },
  pod: {
    ...(owner.podNamespace !== undefined && { namespace: owner.podNamespace }),
    ...(owner.podName !== undefined && { name: owner.podName }),
  },
});
