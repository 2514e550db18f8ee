// Says that this node's agent lives: a Lease beside the kubelet's. What stops is noticed by the agent that reclaims.
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient, KubeResource, ObjectMeta } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import {
  COORDINATION_LEASES,
  type CoordinationLease,
  microTime,
  newCoordinationLease,
  readCoordinationLease,
} from './coordination.ts';
import { pause, spread } from './pause.ts';

export const NODES: KubeResource = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
};

export const heartbeatName = (node: string): string => `manifold-node-${node}`;

/** Of the Lease: what others may assume. The agents themselves go by how long it has not changed. */
const DURATION_SECONDS = 40;

export interface HeartbeatOptions {
  readonly namespace: string;
  readonly nodeName: string;
  readonly everyMs: number;
  readonly log: Logger;
}

/** Until the signal. The Lease stays: an agent that is restarted is no node that is lost. */
export async function keepHeartbeat(
  client: KubeClient,
  options: HeartbeatOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log, everyMs } = options;
  let last: CoordinationLease | undefined;
  let failing = false;
  while (!signal.aborted) {
    try {
      last = await beat(client, options, last, signal);
      if (failing) log.info('heartbeat goes on');
      failing = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!isManifoldError(error)) throw error;
      if (!failing)
        log.warn('heartbeat failed, and is tried again', { reason: error.message, hint: error.hint });
      failing = true;
      last = undefined;
    }
    await pause(spread(everyMs), signal);
  }
}

async function beat(
  client: KubeClient,
  options: HeartbeatOptions,
  last: CoordinationLease | undefined,
  signal: AbortSignal,
): Promise<CoordinationLease | undefined> {
  const { namespace, nodeName } = options;
  const place = { namespace, name: heartbeatName(nodeName) };
  const found = last ?? (await readCoordinationLease(client, place, signal));
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: DURATION_SECONDS,
    renewTime: microTime(client.now()),
  };
  if (found === undefined) {
    const metadata = { ...place, ...(await ownedByNode(client, nodeName, signal)) };
    return client.create(COORDINATION_LEASES, newCoordinationLease(metadata, spec), {
      namespace,
      signal,
      isOurs: ({ spec: theirs }) => theirs?.renewTime === spec.renewTime,
    });
  }
  try {
    return await client.replace(COORDINATION_LEASES, { ...found, spec }, { namespace, signal });
  } catch (error) {
    // Somebody has deleted or changed it: read anew the next time, which is soon enough.
    if (isKubeError(error, 'Conflict', 'NotFound')) return undefined;
    throw error;
  }
}

/** Kubernetes deletes it with the Node. Without a Node it stays until somebody deletes it. */
async function ownedByNode(
  client: KubeClient,
  nodeName: string,
  signal: AbortSignal,
): Promise<Pick<ObjectMeta, 'ownerReferences'>> {
  try {
    const { metadata } = await client.get(NODES, nodeName, { signal });
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata.uid ?? '' };
    return { ownerReferences: [owner] };
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return {};
    throw error;
  }
}
