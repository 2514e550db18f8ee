// The claim over the cluster's leases: choose, write down, ask for all at once, and choose again for what was taken.
import { type ErrorCode, isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { chooseAddresses } from './choose.ts';
import { askForAll } from './cluster-ask.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import { giveBack } from './cluster-give-back.ts';
import { type Changed, type Intent, intentOf, leftoversOf, writeIntents } from './cluster-intent.ts';
import { ClusterKnowledge } from './cluster-knowledge.ts';
import { clusterOf } from './cluster-of.ts';
import { type Choice, clusterView, Unread } from './cluster-view.ts';
import { endRow, markReleasing } from './end-lease.ts';
import { podName } from './exhausted.ts';
import { finishReleases } from './finish-releases.ts';
import { leaseName } from './lease-name.ts';
import type { ClaimRequest, Grant } from './lease-store.ts';
import { leaveNode, ownOnNode } from './other-store.ts';

/** More only when hundreds claim the last addresses of a range at once. */
const MOST_ROUNDS = 100;
/** How many leases that other calls left are ended beside a claim, and when there is no other way. */
const DRAINED = { beside: 4, forRoom: 16 } as const;

interface Claim {
  readonly deps: ClusterDeps;
  readonly requests: readonly ClaimRequest[];
  readonly as: 'claimed' | 'held';
  readonly signal: AbortSignal;
  readonly cluster: string | undefined;
  readonly knowledge: ClusterKnowledge;
  readonly before: Map<string, Changed>;
  /** What earlier calls on this node left has been ended, to make room. */
  hasMadeRoom: boolean;
}

/** @throws as LeaseStore.claim */
export async function claimLeases(
  deps: ClusterDeps,
  requests: readonly ClaimRequest[],
  as: 'claimed' | 'held',
): Promise<Grant[][]> {
  const claim: Claim = {
    ...{ deps, requests, as, signal: AbortSignal.timeout(DEADLINE_MS.claim) },
    cluster: await clusterOf(deps.client),
    ...{ knowledge: new ClusterKnowledge(deps), before: new Map(), hasMadeRoom: false },
  };
  try {
    return await run(claim);
  } catch (error) {
    await giveBack(deps, claim.before);
    throw claim.signal.aborted ? outOfTime(requests, error) : error;
  }
}

/** What the last call says of its own share of the time would mislead. */
function outOfTime(requests: readonly ClaimRequest[], error: unknown): unknown {
  if (!isManifoldError(error, 'try-later')) return error;
  const [request] = requests;
  const who = request === undefined ? 'a pod' : podName(request.pod, request.containerId);
  return new ManifoldError(
    'try-later',
    `Cannot give ${who} its addresses within ${DEADLINE_MS.claim / 1000} s: ${error.message}`,
    { ...(error.hint !== undefined && { hint: error.hint }), cause: error },
  );
}

async function run(claim: Claim): Promise<Grant[][]> {
  let hasAnswered = false;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { grants, intents } = await plan(claim);
    const outcomes = await askForAll(claim.deps, intents, claim, claim.signal);
    hasAnswered ||= outcomes.some((outcome) => !outcome.got || outcome.lease !== undefined);
    if (outcomes.some((outcome) => !outcome.got && outcome.isOvertaken)) throw overtaken(claim);
    if (outcomes.some(({ got }) => !got)) continue;
    await finish(claim, grants, hasAnswered);
    return grants;
  }
  throw new ManifoldError('try-later', `Cannot claim addresses: others took each of ${MOST_ROUNDS} choices`, {
    hint: 'The runtime tries again. Widen the range when it is nearly full.',
  });
}

/** Two sandboxes of one pod: the later one is that which the runtime goes on with. */
function overtaken({ requests }: Claim): ManifoldError {
  const { pod, containerId } = requests[0] ?? { pod: {}, containerId: '' };
  return new ManifoldError(
    'try-later',
    `Cannot claim addresses of ${podName(pod, containerId)}: another call for the same pod began meanwhile (container ${containerId})`,
    { hint: 'That call gets the addresses. Where there was none, try again.' },
  );
}

interface Round {
  readonly grants: Grant[][];
  readonly intents: readonly Intent[];
}

/** Chooses and writes down; reads first what the choice turns out to need. */
async function plan(claim: Claim): Promise<Round> {
  for (;;) {
    const unread = new Unread();
    try {
      const round = choose(claim, unread);
      if (round !== undefined) return round;
      claim.deps.step?.('read leases');
      await read(claim, unread);
    } catch (error) {
      if (!isManifoldError(error, ...MAY_BE_LEFT_BEHIND) || !(await makeRoom(claim))) throw error;
    }
  }
}

const MAY_BE_LEFT_BEHIND: readonly ErrorCode[] = ['no-address', 'address-held'];

/** @returns undefined when something is to be read first */
function choose(
  { deps, requests, as, cluster, knowledge, before }: Claim,
  unread: Unread,
): Round | undefined {
  const chosen = new Set<string>();
  const intents: Intent[] = [];
  const choice: Choice = { deps, knowledge, unread, chosen };
  // One transaction: no other process of this node changes a row between the choice and the intent.
  return deps.store.transaction(() => {
    try {
      const grants = requests.map((request) =>
        chooseAddresses(request, clusterView(choice, request), (grant) => {
          chosen.add(leaseName(grant.domain, grant.address));
          intents.push(intentOf(deps, knowledge, request, grant, cluster));
        }),
      );
      if (!unread.isEmpty) return undefined;
      deps.step?.('write intents');
      writeIntents(deps, intents, as, before);
      return { grants, intents };
    } catch (error) {
      // Found while not all was read: it does not count.
      if (isManifoldError(error) && !unread.isEmpty) return undefined;
      throw error;
    }
  });
}

/** @throws KubeError */
async function read({ requests, knowledge, signal }: Claim, unread: Unread): Promise<void> {
  const { namespace, name } = requests[0]?.pod ?? {};
  const kept =
    unread.kept && namespace !== undefined && name !== undefined
      ? knowledge.readKept({ namespace, name }, signal)
      : undefined;
  const ranges = [...unread.ranges.values()];
  await Promise.all([kept, ...ranges.map(({ pool, level }) => knowledge.read(pool, level, signal))]);
}

/** The last resort: what earlier calls on this node left may be what is in the way. @returns false when it is not */
async function makeRoom(claim: Claim): Promise<boolean> {
  if (claim.hasMadeRoom) return false;
  claim.hasMadeRoom = true;
  try {
    if ((await finishReleases(claim.deps, DRAINED.forRoom, claim.signal)) === 0) return false;
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return false;
  }
  claim.knowledge.forget();
  return true;
}

/** What the owner had of these ranges beyond what it is given is released; then what other calls left. */
async function finish(
  { deps, requests }: Claim,
  grants: readonly (readonly Grant[])[],
  hasAnswered: boolean,
): Promise<void> {
  const leftovers = leftoversOf(deps, requests, grants);
  const signal = AbortSignal.timeout(DEADLINE_MS.drain);
  try {
    if (requests.some((request) => ownOnNode(deps, request).length > 0))
      deps.store.transaction(() => leaveNode(deps, requests, grants));
    for (const row of leftovers.length === 0 ? [] : markReleasing(deps, leftovers))
      await endRow(deps, row, signal);
    if (hasAnswered) await finishReleases(deps, DRAINED.beside, signal);
  } catch (error) {
    // The claim stands; what is left is left to the next call, or to the agent.
    if (!isManifoldError(error)) throw error;
    deps.log?.warn('leases are to be ended later', { reason: error.message });
  }
}
