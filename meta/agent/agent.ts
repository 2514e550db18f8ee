// manifold-agent, one process a node: ends the leases that no DEL will end, and nothing that may still be in use.
// Nothing else of Manifold needs it.
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { AgentDeps, AgentSettings } from './agent-deps.ts';
import { keepHeartbeat, NODES } from './heartbeat.ts';
import { reclaimForAll } from './leader.ts';
import { Loop } from './loop.ts';
import { Mirror } from './mirror.ts';
import { OwnReclaim } from './reclaim-own.ts';
import { type SeenLease, seenLease } from './seen-lease.ts';
import { PODS, type SeenPod, seenPod } from './seen-pod.ts';

/**
 * Until the signal, whatever fails meanwhile. The heartbeat's Lease stays, the reclaiming one is given back.
 * @throws only what is a defect
 */
export async function runAgent(deps: AgentDeps, settings: AgentSettings, signal: AbortSignal): Promise<void> {
  const { client, log } = deps;
  const { nodeName, namespace, timings } = settings;
  const onChange = () => own.trigger();
  const pods = new Mirror<SeenPod>(client, {
    resource: PODS,
    selection: { fieldSelector: `spec.nodeName=${nodeName}` },
    resourceVersion: '0',
    ...{ read: seenPod, onChange, log },
  });
  const leases = new Mirror<SeenLease>(client, {
    resource: IP_LEASES,
    selection: { fieldSelector: `spec.node=${nodeName}` },
    resourceVersion: '0',
    ...{ read: seenLease, onChange, log },
  });
  const reclaim = new OwnReclaim(deps, settings, { pods, leases });
  const own = new Loop({
    name: 'the look at the leases of this node',
    everyMs: timings.pass,
    gatherMs: timings.gather,
    log,
    pass: (passSignal) => reclaim.pass(passSignal),
  });
  log.info('agent serves', { node: nodeName });
  await Promise.all([
    pods.run(signal),
    leases.run(signal),
    own.run(signal),
    keepHeartbeat(client, { namespace, nodeName, everyMs: timings.heartbeat, log }, signal),
    reclaimForAll(deps, settings, signal),
    warnWithoutNode(deps, nodeName, signal),
  ]);
  client.close();
  log.info('agent ends');
}

/** An agent under a wrong name sees neither the pods nor the leases of its node. */
async function warnWithoutNode({ client, log }: AgentDeps, node: string, signal: AbortSignal): Promise<void> {
  try {
    await client.get(NODES, node, { signal });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    if (isKubeError(error, 'NotFound'))
      log.warn('there is no Node of this name', {
        node,
        hint: 'Set --node-name to the name of the Node object.',
      });
  }
}
