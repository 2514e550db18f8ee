// Ends a lease of this node that no DEL will end: as a DEL does it where the store has a row, at the API server where
// it has none.
import { endLease, endRow, markReleasing, readLease } from '../../ipam/end-lease.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import type { AgentDeps, AgentSettings } from './agent-deps.ts';
import { readEvidence } from './node-evidence.ts';
import type { Holding } from './reclaim-own.ts';
import { isStillHeldBy } from './seen-lease.ts';

/** 'changed': it is not any more what was decided about, and is left alone. @throws ManifoldError */
export async function endOwn(
  { client, kernel }: AgentDeps,
  { nodeName }: AgentSettings,
  store: NodeStore | undefined,
  { name, owner, lease }: Holding,
  signal: AbortSignal,
): Promise<'ended' | 'gone' | 'changed'> {
  // The node's rows say what an ADD may be doing by now: from here to the mark nothing else can write them.
  const marked = store?.transaction(() => {
    const evidence = readEvidence(store, kernel);
    const sandbox = evidence.sandbox(owner.uid);
    if (sandbox === 'in-hand' || sandbox === 'there') return 'changed';
    const row = evidence.rows.find((one) => one.name === name);
    if (row === undefined) return 'no row';
    if (row.owner !== owner.uid || row.ifname !== owner.ifname || row.containerId !== owner.containerId)
      return 'changed';
    return markReleasing({ store, client }, [row]);
  });
  if (marked === 'changed') return 'changed';
  if (store !== undefined && marked !== undefined && marked !== 'no row') {
    for (const row of marked) await endRow({ client, store, kernel, nodeName }, row, signal);
    return 'ended';
  }
  if (lease === undefined) return 'gone';
  const found = await readLease(client, name, signal);
  if (found === undefined) return 'gone';
  if (!isStillHeldBy(found, lease)) return 'changed';
  return endLease(client, found, { now: client.now(), signal });
}
