// A pod asked for by name, of the API server's newest state: what a mirror lacks may only be late.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { ifFound } from '../../pkg/kube/kube-error.ts';
import type { SeenOwner } from './seen-lease.ts';
import { PODS, type SeenPod, seenPod } from './seen-pod.ts';

/** The pod of that name, whatever its UID; undefined when there is none, or the owner is none. @throws KubeError */
export async function readPod(
  client: KubeClient,
  { podNamespace, podName }: SeenOwner,
  signal: AbortSignal,
): Promise<SeenPod | undefined> {
  if (podNamespace === undefined || podName === undefined) return undefined;
  const pod = await ifFound(client.get(PODS, podName, { namespace: podNamespace, signal }));
  return pod && seenPod(pod);
}
