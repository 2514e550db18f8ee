// What an agent keeps in memory of a pod: whether somebody's lease may still be its.
import type { KubeResource, RawObject } from '../../pkg/kube/kube-client.ts';

export const PODS: KubeResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

export interface SeenPod {
  readonly namespace: string;
  readonly name: string;
  /**
   * What a runtime may have passed as its UID. A static pod runs under the hash of its file, and the API server's
   * mirror of it has a UID of its own, which changes whenever the mirror is made anew.
   */
  readonly uids: readonly string[];
  readonly node: string | undefined;
  /** Succeeded or Failed: none of its containers is ever started again. */
  readonly hasEnded: boolean;
}

const HASHES = ['kubernetes.io/config.hash', 'kubernetes.io/config.mirror'];

export function seenPod(object: RawObject): SeenPod | undefined {
  const { name, namespace = '', uid, annotations = {} } = object.metadata;
  if (uid === undefined) return undefined;
  const spec = object.spec as { readonly nodeName?: string } | undefined;
  const status = object.status as { readonly phase?: string } | undefined;
  const hashes = HASHES.flatMap((key) => annotations[key] ?? []);
  return {
    namespace,
    name,
    uids: [...new Set([uid, ...hashes])],
    node: spec?.nodeName,
    hasEnded: status?.phase === 'Succeeded' || status?.phase === 'Failed',
  };
}
