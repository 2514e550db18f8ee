// One pass over the leases of nodes that no longer speak for themselves: what their dead pods hold is ended.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { AgentDeps, AgentSettings } from './agent-deps.ts';
import { atOnce } from './at-once.ts';
import { COORDINATION_LEASES, readCoordinationLease } from './coordination.ts';
import { endSeen, releaseHint } from './end-holding.ts';
import { GoOn } from './go-on.ts';
import { heartbeatName, NODES } from './heartbeat.ts';
import type { KnownNodes } from './known-nodes.ts';
import type { Leadership } from './leadership.ts';
import { type LostNode, podsOf } from './lost-pods.ts';
import type { Mirror } from './mirror.ts';
import type { NodeLife } from './node-life.ts';
import type { Pace } from './pace.ts';
import { type LostFacts, planLost } from './plan-reclaim.ts';
import type { SaidOnce } from './said-once.ts';
import type { SeenLease } from './seen-lease.ts';
import type { Suspects } from './suspects.ts';

const KUBELET_LEASES = 'kube-node-lease';
const AT_ONCE = 4;

export interface LostParts {
  readonly leadership: Pick<Leadership, 'holds'>;
  readonly leases: Pick<Mirror<SeenLease>, 'values'>;
  readonly life: NodeLife;
  readonly known: KnownNodes;
  /** Leases whose pod was not found. */
  readonly suspects: Suspects;
  readonly said: SaidOnce;
  readonly pace: Pace;
}

/** @throws KubeError */
export async function reclaimLost(
  deps: AgentDeps,
  settings: AgentSettings,
  parts: LostParts,
  signal: AbortSignal,
): Promise<void> {
  const byNode = new Map<string, SeenLease[]>();
  for (const lease of parts.leases.values())
    if (lease.phase === 'Held' && lease.node !== settings.nodeName) {
      const held = byNode.get(lease.node);
      if (held === undefined) byNode.set(lease.node, [lease]);
      else held.push(lease);
    }
  // Also where nobody has leases now: who is seen today may be gone tomorrow.
  await lookForLife(deps, settings, parts, new Set(byNode.keys()), signal);
  const goOn = new GoOn(() => parts.life.answered(deps.monotonicMs()));
  for (const [name, held] of byNode)
    await goOn.attempt(() => reclaimOf({ name, held, goOn }, deps, settings, parts, signal));
  // What was begun and not ended counts as one look: a failure forgets nothing.
  parts.suspects.endPass();
  parts.said.endPass();
  goOn.end();
}

async function reclaimOf(
  { name, held, goOn }: LostNode,
  deps: AgentDeps,
  settings: AgentSettings,
  parts: LostParts,
  signal: AbortSignal,
): Promise<void> {
  const { leadership, life, suspects, said } = parts;
  const { client, log, monotonicMs } = deps;
  const silence = { silentMs: settings.nodeSilenceMs, goneMs: settings.timings.goneSilence };
  const silentMs = life.silentMs(name);
  if (planLost({ silentMs }, silence).do === 'keep') return;
  const node = await nodeState(client, name, parts.known, signal);
  if (planLost({ silentMs, node }, silence).do === 'keep') return;
  const pods = await podsOf({ name, held, goOn }, node, client, signal);
  const elsewhere = [...pods.values()].find((pod) => typeof pod === 'object');
  if (elsewhere !== undefined) {
    if (said.isNew(`misnamed ${name}`))
      log.warn('leases of a node that is called otherwise are kept', {
        ...{ node: name, leases: held.length, pod: elsewhere.pod, isOnNode: elsewhere.node },
        hint: `Set "nodeName" in the "manifold" object of the CNI configuration of node ${elsewhere.node} to that name, and --node-name of its agent.`,
      });
    return;
  }
  // A lease that could not be asked about might have shown that the name is wrong.
  if (node === 'unknown' && pods.size < held.length) return;
  const endDead = async (lease: SeenLease): Promise<void> => {
    const pod = pods.get(lease);
    if (typeof pod !== 'string' || !leadership.holds || signal.aborted) return;
    const podGoneMs =
      pod === 'none' ? suspects.note(`${lease.name} ${lease.owner.uid}`, monotonicMs()).ms : 0;
    const decision = planLost({ silentMs, node, pod, podGoneMs }, silence);
    const { address, owner } = lease;
    const about = {
      ...{ address, lease: lease.name, node: name },
      ...{ pod: owner.podName, namespace: owner.podNamespace, uid: owner.uid },
    };
    if (decision.do === 'keep' && decision.odd && said.isNew(`unclear ${lease.name}`))
      log.warn('a lease of a lost node is kept', {
        ...{ ...about, because: 'nobody can say whether its pod still lives' },
        hint: releaseHint(address),
      });
    if (decision.do !== 'end') return;
    await parts.pace.next(signal);
    const outcome = leadership.holds ? await endSeen(deps, lease, signal) : 'left to the next leader';
    log.info('a lease of a lost node', { ...about, because: decision.because, outcome });
  };
  await atOnce(held, AT_ONCE, (lease) => goOn.attempt(() => endDead(lease)));
}

/** One list of metadata tells of all kubelets; an agent's Lease is read where the kubelet's is still. */
async function lookForLife(
  { client, monotonicMs }: AgentDeps,
  { namespace, timings, nodeSilenceMs }: AgentSettings,
  { life, known }: LostParts,
  nodes: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const list = await client.list(COORDINATION_LEASES, {
    ...{ namespace: KUBELET_LEASES, metadataOnly: true, resourceVersion: '0', signal },
  });
  const versions = new Map(
    list.items.map(({ metadata: { name, resourceVersion = '' } }) => [name, resourceVersion]),
  );
  known.seeAll(versions.keys(), nodes);
  life.seeKubelets(versions, nodes, monotonicMs());
  // Long before it would matter, so that the silence of both is counted over the same time.
  const lookFromMs = Math.min(nodeSilenceMs, timings.goneSilence) / 4;
  const still = [...nodes].filter((node) => life.kubeletSilentMs(node) >= lookFromMs);
  await atOnce(still, AT_ONCE, async (node) => {
    const lease = await readCoordinationLease(client, { namespace, name: heartbeatName(node) }, signal);
    // It is deleted with its Node. One without may be that of an agent whose --node-name is wrong.
    if (lease?.metadata.ownerReferences?.some(({ kind }) => kind === NODES.kind)) known.see(node);
    life.seeAgent(node, lease?.metadata.resourceVersion, monotonicMs());
    life.answered(monotonicMs());
  });
}

async function nodeState(
  client: KubeClient,
  name: string,
  known: KnownNodes,
  signal: AbortSignal,
): Promise<NonNullable<LostFacts['node']>> {
  try {
    await client.get(NODES, name, { signal });
    known.see(name);
    return 'there';
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return known.has(name) ? 'gone' : 'unknown';
    throw error;
  }
}
