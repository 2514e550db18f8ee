// One pass over the leases of nodes that no longer speak for themselves: what their dead pods hold is ended.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { AgentDeps, AgentSettings } from './agent-deps.ts';
import { atOnce } from './at-once.ts';
import { COORDINATION_LEASES, readCoordinationLease } from './coordination.ts';
import { endSeen } from './end-holding.ts';
import { GoOn } from './go-on.ts';
import { heartbeatName, NODES } from './heartbeat.ts';
import type { Leadership } from './leadership.ts';
import type { Mirror } from './mirror.ts';
import type { NodeLife } from './node-life.ts';
import type { Pace } from './pace.ts';
import { type LostFacts, planLost } from './plan-reclaim.ts';
import { readPod } from './read-pod.ts';
import { isOfPod, type SeenLease } from './seen-lease.ts';
import type { SeenPod } from './seen-pod.ts';

const KUBELET_LEASES = 'kube-node-lease';
const AT_ONCE = 4;

export interface LostParts {
  readonly leadership: Pick<Leadership, 'holds'>;
  readonly leases: Pick<Mirror<SeenLease>, 'values'>;
  readonly life: NodeLife;
  readonly pace: Pace;
}

/** @throws KubeError */
export async function reclaimLost(
  deps: AgentDeps,
  settings: AgentSettings,
  parts: LostParts,
  signal: AbortSignal,
): Promise<void> {
  const { life, leases, leadership } = parts;
  const byNode = new Map<string, SeenLease[]>();
  for (const lease of leases.values())
    if (lease.phase === 'Held' && lease.node !== settings.nodeName) {
      const known = byNode.get(lease.node);
      if (known === undefined) byNode.set(lease.node, [lease]);
      else known.push(lease);
    }
  if (byNode.size === 0) return;
  await lookForLife(deps, settings, parts, byNode.keys().toArray(), signal);
  const goOn = new GoOn();
  const silence = { silentMs: settings.nodeSilenceMs, goneMs: settings.timings.goneSilence };
  for (const [name, held] of byNode) {
    const silentMs = life.silentMs(name, deps.monotonicMs());
    if (planLost({ silentMs }, silence).do === 'keep') continue;
    const node = (await nodeIsThere(deps.client, name, signal)) ? 'there' : 'gone';
    if (planLost({ silentMs, node }, silence).do === 'keep') continue;
    const pods = new Map<string, SeenPod | undefined>();
    const endDead = async (lease: SeenLease): Promise<void> => {
      if (!leadership.holds || signal.aborted) return;
      const pod = await podOf(deps.client, lease, node, pods, signal);
      const decision = planLost({ silentMs, node, pod }, silence);
      if (decision.do !== 'end') return;
      await parts.pace.next(signal);
      const outcome = leadership.holds ? await endSeen(deps, lease, signal) : 'left to the next leader';
      deps.log.info('a lease of a lost node', {
        ...{ address: lease.address, lease: lease.name, node: name, because: decision.because, outcome },
        ...{ pod: lease.owner.podName, namespace: lease.owner.podNamespace, uid: lease.owner.uid },
      });
    };
    await atOnce(held, AT_ONCE, (lease) => goOn.attempt(() => endDead(lease)));
  }
  goOn.end();
}

/** One list of metadata tells of all kubelets; an agent's Lease is read where the kubelet's is still. */
async function lookForLife(
  { client, monotonicMs }: AgentDeps,
  { namespace, timings, nodeSilenceMs }: AgentSettings,
  { life }: LostParts,
  nodes: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const list = await client.list(COORDINATION_LEASES, {
    ...{ namespace: KUBELET_LEASES, metadataOnly: true, resourceVersion: '0', signal },
  });
  const versions = new Map(
    list.items.map(({ metadata: { name, resourceVersion = '' } }) => [name, resourceVersion]),
  );
  life.seeKubelets(versions, nodes, monotonicMs());
  // Long before it would matter, so that the silence of both is counted over the same time.
  const lookFromMs = Math.min(nodeSilenceMs, timings.goneSilence) / 4;
  const still = nodes.filter((node) => life.kubeletSilentMs(node, monotonicMs()) >= lookFromMs);
  await atOnce(still, AT_ONCE, async (node) => {
    const lease = await readCoordinationLease(client, { namespace, name: heartbeatName(node) }, signal);
    life.seeAgent(node, lease?.metadata.resourceVersion, monotonicMs());
  });
}

async function nodeIsThere(client: KubeClient, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.get(NODES, name, { signal });
    return true;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return false;
    throw error;
  }
}

async function podOf(
  client: KubeClient,
  { owner, node }: SeenLease,
  nodeState: 'there' | 'gone',
  pods: Map<string, SeenPod | undefined>,
  signal: AbortSignal,
): Promise<NonNullable<LostFacts['pod']>> {
  // Without a pod nobody can have deleted it: only the end of the node says that it has ended.
  if (owner.podName === undefined) return nodeState === 'gone' ? 'none' : 'unclear';
  const name = `${owner.podNamespace}/${owner.podName}`;
  if (!pods.has(name)) pods.set(name, await readPod(client, owner, signal));
  const pod = pods.get(name);
  if (pod === undefined) return 'none';
  if (isOfPod(owner)) return pod.uids.includes(owner.uid) ? 'same' : 'none';
  return pod.node === node ? 'unclear' : 'none';
}
