// A pod asked for by name, of the API server's newest state: what a mirror lacks may only be late.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { SeenOwner } from './seen-lease.ts';
import { PODS, type SeenPod, seenPod } from './seen-pod.ts';

/** The pod of that name, whatever its UID; undefined when there is none, or the owner is none. @throws KubeError */
export async function readPod(
  client: KubeClient,
  { podNamespace, podName }: SeenOwner,
  signal: AbortSignal,
): Promise<SeenPod | undefined> {
  if (podNamespace === undefined || podName === undefined) return undefined;
  try {
    return seenPod(await client.get(PODS, podName, { namespace: podNamespace, signal }));
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined;
    throw error;
  }
}
