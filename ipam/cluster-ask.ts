// Asks the API server for all addresses of a claim at once, and writes down what it answered.
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import { isKubeError } from '../pkg/kube/kube-error.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import type { Intent } from './cluster-intent.ts';
import type { ClusterKnowledge } from './cluster-knowledge.ts';
import type { IpLease } from './ip-lease.ts';
import { objectState } from './lease-row.ts';
import { obtainLease } from './obtain-lease.ts';

export type Outcome =
  /** `lease` is absent where the API server was not asked, or is away and the address is the owner's anyhow. */
  | { readonly intent: Intent; readonly got: true; readonly lease?: IpLease }
  | {
      readonly intent: Intent;
      readonly got: false;
      readonly by: IpLease | undefined;
      readonly isOvertaken: boolean;
    };

/** What the answers are told to. */
export interface Answers {
  readonly as: 'claimed' | 'held';
  readonly knowledge: ClusterKnowledge;
}

/**
 * @returns what came of each; all of it is written down
 * @throws KubeError the first failure, when all have been answered
 */
export async function askForAll(
  deps: ClusterDeps,
  intents: readonly Intent[],
  answers: Answers,
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const settled = await Promise.allSettled(intents.map((intent) => askFor(deps, intent, signal)));
  const outcomes = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  deps.step?.('record answers');
  const recorded = outcomes.every(({ intent, got }) => got && intent.isKept)
    ? outcomes
    : deps.store.transaction(() => outcomes.map((outcome) => record(deps, outcome, answers)));
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return recorded;
}

async function askFor(deps: ClusterDeps, intent: Intent, signal: AbortSignal): Promise<Outcome> {
  const { row, over, insist, isKept, isOursAnyhow } = intent;
  if (isKept) return { intent, got: true };
  const limit = isOursAnyhow ? AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS.reaffirm)]) : signal;
  try {
    const obtained = await obtainLease(deps, row, { signal: limit, over, insist, early: insist });
    if ('got' in obtained) return { intent, got: true, lease: obtained.got };
    const isOvertaken = !isOurs(deps.store.clusterLeases.get(row.name), row);
    return { intent, got: false, by: obtained.by, isOvertaken };
  } catch (error) {
    if (isOursAnyhow && isManifoldError(error, 'try-later')) {
      deps.log?.warn('the API server is away: the address is given from the records of this node', {
        address: row.address,
        reason: error.message,
      });
      return { intent, got: true };
    }
    // Surely nothing is there: the row need not wait for anybody to look.
    if (isKubeError(error) && !error.maybeDone && !intent.wasThere) remove(deps, row);
    throw error;
  }
}

function remove({ store }: ClusterDeps, row: ClusterLeaseRecord): void {
  store.transaction(() => {
    if (isOurs(store.clusterLeases.get(row.name), row)) store.clusterLeases.remove(row);
  });
}

/** Called inside a transaction. @returns the outcome, which a call that came between may have undone */
function record({ store, log }: ClusterDeps, outcome: Outcome, { as, knowledge }: Answers): Outcome {
  const { intent } = outcome;
  const { row } = intent;
  const there = store.clusterLeases.get(row.name);
  const isStillOurs = isOurs(there, row);
  if (!outcome.got) {
    knowledge.refused(row.domain, row.name, intent.pool, outcome.by);
    if (intent.isOursAnyhow)
      log?.error('an address of a pod of this node is somebody else’s in the cluster', {
        address: row.address,
        pod: nameOf(row.pod.namespace, row.pod.name),
        holder: nameOf(outcome.by?.spec.owner.podNamespace, outcome.by?.spec.owner.podName),
      });
    if (isStillOurs) store.clusterLeases.remove(row);
    return outcome;
  }
  // A later call of the same owner has made it its own, and writes down what it is answered.
  const isOfAnotherCall = there !== undefined && there.containerId !== row.containerId;
  if (intent.isKept || isOfAnotherCall) return outcome;
  const { object: _asItWas, ...rest } = row;
  const object = outcome.lease === undefined ? row.object : objectState(outcome.lease);
  const acquired = Date.parse(outcome.lease?.spec.acquired ?? '') || row.acquired;
  const now = { ...rest, state: as, acquired, ...(object !== undefined && { object }) };
  store.clusterLeases.claim(now);
  // DEL of this very container has come between, and may have found nothing to end: then this claim ends it.
  return isStillOurs ? outcome : { intent, got: false, by: undefined, isOvertaken: true };
}

const nameOf = (namespace = '', name = '?'): string => `${namespace}/${name}`;

const isOurs = (now: ClusterLeaseRecord | undefined, row: ClusterLeaseRecord): boolean =>
  now?.containerId === row.containerId && now.owner === row.owner && now.writer.pid === row.writer.pid;
