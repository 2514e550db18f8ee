// Rows of this node that are held, against the objects of the cluster: what is gone is made again, what is behind is
// brought up to date, and what is another's by now is cried out.
import { readLease } from '../../ipam/end-lease.ts';
import { reaffirm } from '../../ipam/obtain-lease.ts';
import type { ClusterLeaseRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { type AgentDeps, type AgentSettings, clusterDeps } from './agent-deps.ts';
import type { GoOn } from './go-on.ts';
import type { NodeEvidence } from './node-evidence.ts';
import { planRow } from './plan-reclaim.ts';
import type { SaidOnce } from './said-once.ts';
import type { SeenLease } from './seen-lease.ts';
import type { Suspects } from './suspects.ts';

export interface RepairFacts {
  readonly evidence: NodeEvidence;
  readonly leases: readonly SeenLease[];
  readonly isLiving: (owner: string) => boolean;
  readonly suspects: Suspects;
  readonly said: SaidOnce;
  readonly goOn: GoOn;
  readonly signal: AbortSignal;
}

/** @throws KubeError */
export async function repairRows(
  deps: AgentDeps & { readonly store: NodeStore },
  settings: AgentSettings,
  { evidence, leases, isLiving, suspects, said, goOn, signal }: RepairFacts,
): Promise<void> {
  const { store, log, monotonicMs } = deps;
  const byName = new Map(leases.map((lease) => [lease.name, lease]));
  for (const row of evidence.rows) {
    if (row.state !== 'held') continue;
    const object = objectState(row, byName.get(row.name));
    const key = `object of ${row.name} ${row.owner}`;
    const passes = object === 'same' ? 0 : suspects.note(key, monotonicMs()).passes;
    const sandbox = evidence.sandbox(row.owner);
    if (planRow({ sandbox, object, passes, isPodLiving: isLiving(row.owner) }) === 'nothing') continue;
    // As it is now: a call may have had it since.
    const now = store.clusterLeases.get(row.name);
    if (now?.state !== 'held' || now.containerId !== row.containerId) continue;
    await goOn.attempt(async () => {
      const outcome = await reaffirm(clusterDeps(deps, settings, store), now, signal);
      if (outcome === 'renewed') {
        log.info('the object of a lease is put right', { ...describe(row), was: object });
        suspects.clear(key);
      } else if (outcome === 'lost' && said.isNew(key)) await sayLost(deps, row, signal);
    });
  }
}

function objectState(
  row: ClusterLeaseRecord,
  lease: SeenLease | undefined,
): 'same' | 'other-container' | 'others' | 'gone' {
  if (lease === undefined || lease.phase !== 'Held') return 'gone';
  const { uid, ifname, containerId } = lease.owner;
  if (uid !== row.owner || ifname !== row.ifname || lease.network !== row.network) return 'others';
  return containerId === row.containerId ? 'same' : 'other-container';
}

/** Two interfaces may have one address: nothing that an agent may do about it would not break one of them. */
async function sayLost(
  { client, log }: AgentDeps,
  row: ClusterLeaseRecord,
  signal: AbortSignal,
): Promise<void> {
  const found = await readLease(client, row.name, signal);
  const { owner, node, phase } = found?.spec ?? {};
  log.error('an address that an interface of this node has is leased to another', {
    ...describe(row),
    ...(owner && {
      leasedTo: {
        pod: owner.podName === undefined ? undefined : `${owner.podNamespace}/${owner.podName}`,
        ...{ uid: owner.uid, interface: owner.interface, container: owner.containerID, node, phase },
      },
    }),
    hint: 'Delete one of the two pods: this one gets another address when it is made again.',
  });
}

const describe = (row: ClusterLeaseRecord) => ({
  address: row.address,
  lease: row.name,
  pod: row.pod.name === undefined ? undefined : `${row.pod.namespace}/${row.pod.name}`,
  uid: row.owner,
  interface: row.ifname,
  container: row.containerId,
});
