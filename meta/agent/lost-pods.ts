// What the API server says of the pods that have leases of a node which no longer speaks for itself.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { atOnce } from './at-once.ts';
import type { GoOn } from './go-on.ts';
import type { LostFacts } from './plan-reclaim.ts';
import { readPod } from './read-pod.ts';
import { isOfPod, isPodUid, type SeenLease, type SeenOwner } from './seen-lease.ts';
import type { SeenPod } from './seen-pod.ts';

const AT_ONCE = 4;

export interface LostNode {
  readonly name: string;
  readonly held: readonly SeenLease[];
  readonly goOn: GoOn;
}

/** It lives, on a node of another name: pods never move, so the name of the lease's node is wrong. */
export interface Elsewhere {
  readonly pod: string;
  readonly node: string;
}

/** Of each lease; of those that could not be asked about nothing. */
export async function podsOf(
  { name, held, goOn }: LostNode,
  node: NonNullable<LostFacts['node']>,
  client: KubeClient,
  signal: AbortSignal,
): Promise<Map<SeenLease, NonNullable<LostFacts['pod']> | Elsewhere>> {
  const read = new Map<string, SeenPod | undefined>();
  const states = new Map<SeenLease, NonNullable<LostFacts['pod']> | Elsewhere>();
  const ask = async (lease: SeenLease): Promise<void> => {
    const { podNamespace, podName } = lease.owner;
    const key = `${podNamespace}/${podName}`;
    if (!read.has(key)) read.set(key, await readPod(client, lease.owner, signal));
    const pod = read.get(key);
    const state = podState(lease.owner, pod, node);
    states.set(
      lease,
      state === 'same' && pod?.node !== undefined && pod.node !== name ? { pod: key, node: pod.node } : state,
    );
  };
  await atOnce(held, AT_ONCE, (lease) => goOn.attempt(() => ask(lease)));
  return states;
}

function podState(
  owner: SeenOwner,
  pod: SeenPod | undefined,
  node: NonNullable<LostFacts['node']>,
): NonNullable<LostFacts['pod']> {
  const { podNamespace, podName, uid, containerId } = owner;
  // Without a pod nobody can have deleted it: only the end of the node says that it has ended.
  if (podName === undefined && podNamespace === undefined && uid === containerId)
    return node === 'gone' ? 'none' : 'unclear';
  if (podName === undefined || podNamespace === undefined) return 'unclear';
  if (pod !== undefined && isOfPod(owner) && pod.uids.includes(uid)) return 'same';
  if (isPodUid(uid)) return 'none';
  // Of a name alone it cannot be said whose it is. Where the node may live under another name, not even its absence counts.
  return pod === undefined && node !== 'unknown' ? 'none' : 'unclear';
}
