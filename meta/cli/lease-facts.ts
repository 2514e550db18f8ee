// What the cluster knows of a lease's pod and node. What may not be read is said, not guessed.
import type { IpLease } from '../../ipam/ip-lease.ts';
import type { KubeClient, RawObject } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import { COORDINATION_LEASES } from '../agent/coordination.ts';
import { heartbeatName, NODES } from '../agent/heartbeat.ts';
import { RECLAIM_LEASE } from '../agent/leadership.ts';
import { PODS } from '../agent/seen-pod.ts';

/** Where the agents keep their heartbeats, unless they are told otherwise. */
const AGENT_NAMESPACE = 'kube-system';

export type PodFact =
  /** The runtime named no pod when the address was claimed. */
  | { readonly is: 'unnamed' }
  | {
      readonly is: 'there';
      readonly node: string | undefined;
      readonly phase: string;
      readonly deleting: boolean;
    }
  | { readonly is: 'gone' }
  /** Another pod has the name now. */
  | { readonly is: 'replaced' }
  | { readonly is: 'unknown'; readonly why: string };

/** Times in milliseconds since the epoch; undefined where there is none. */
export type NodeFact =
  | {
      readonly is: 'there';
      readonly ready: string;
      readonly kubelet: number | undefined;
      readonly agent: number | undefined;
    }
  | { readonly is: 'gone' }
  | { readonly is: 'unknown'; readonly why: string };

export interface LeaseFacts {
  readonly pod: PodFact;
  readonly node: NodeFact;
  /** The node whose agent ends what lost nodes hold. */
  readonly reclaimer: string | undefined;
}

export async function readLeaseFacts(client: KubeClient, { spec }: IpLease): Promise<LeaseFacts> {
  const [pod, node, reclaimer] = await Promise.all([
    podFact(client, spec.owner),
    nodeFact(client, spec.node),
    heartbeat(client, AGENT_NAMESPACE, RECLAIM_LEASE),
  ]);
  return { pod, node, reclaimer: reclaimer?.holder };
}

async function podFact(client: KubeClient, owner: IpLease['spec']['owner']): Promise<PodFact> {
  const { podNamespace: namespace, podName, uid } = owner;
  if (namespace === undefined || podName === undefined) return { is: 'unnamed' };
  const pod = await look(() => client.get(PODS, podName, { namespace }));
  if ('absent' in pod) return { is: 'gone' };
  if ('why' in pod) return { is: 'unknown', why: pod.why };
  if (!isPodOf(pod.found, uid)) return { is: 'replaced' };
  return {
    is: 'there',
    node: textAt(pod.found, 'spec', 'nodeName'),
    phase: textAt(pod.found, 'status', 'phase') ?? 'Unknown',
    deleting: pod.found.metadata.deletionTimestamp !== undefined,
  };
}

/** A static pod has another UID on its node, that of its file, than its mirror in the API. */
const isPodOf = ({ metadata }: RawObject, uid: string): boolean =>
  metadata.uid === uid || metadata.annotations?.['kubernetes.io/config.hash'] === uid;

async function nodeFact(client: KubeClient, name: string): Promise<NodeFact> {
  const [node, kubelet, agent] = await Promise.all([
    look(() => client.get(NODES, name)),
    heartbeat(client, 'kube-node-lease', name),
    heartbeat(client, AGENT_NAMESPACE, heartbeatName(name)),
  ]);
  if ('absent' in node) return { is: 'gone' };
  if ('why' in node) return { is: 'unknown', why: node.why };
  const conditions = at(at(node.found, 'status'), 'conditions');
  const ready = (Array.isArray(conditions) ? conditions : []).find((one) => textAt(one, 'type') === 'Ready');
  return {
    is: 'there',
    ready: textAt(ready, 'status') ?? 'Unknown',
    kubelet: kubelet?.renewed,
    agent: agent?.renewed,
  };
}

async function heartbeat(client: KubeClient, namespace: string, name: string) {
  const lease = await look(() => client.get(COORDINATION_LEASES, name, { namespace }));
  if (!('found' in lease)) return undefined;
  const renewed = Date.parse(textAt(lease.found, 'spec', 'renewTime') ?? '');
  const holder = textAt(lease.found, 'spec', 'holderIdentity') || undefined;
  return { holder, renewed: Number.isNaN(renewed) ? undefined : renewed };
}

type Look<T> = { readonly found: T } | { readonly absent: true } | { readonly why: string };

/** A reader who may not see it all still learns the rest. */
async function look<T>(read: () => Promise<T>): Promise<Look<T>> {
  try {
    return { found: await read() };
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return { absent: true };
    if (isKubeError(error, 'Forbidden')) return { why: error.message };
    throw error;
  }
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = path.reduce(at, value);
  return typeof found === 'string' ? found : undefined;
}
