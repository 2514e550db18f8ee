// What a plugin that puts an interface into a pod is given by its wiring.
import type { Kernel } from '../kernel/kernel.ts';
import type { NodeStore, PodRef } from '../state/node-store.ts';

export interface StoreLocation {
  readonly stateDir: string;
  readonly runDir: string;
}

export interface AttachDeps {
  readonly kernel: Kernel;
  /** The store of this node, opened once a process: the plugin does not close it. */
  readonly openStore: (where: StoreLocation) => NodeStore;
  /** Called at each boundary between two effects; does nothing except in the crash tests, which die here. */
  readonly step: (name: string) => void;
}

/** The pod that CNI_ARGS name, as the kubelet's runtimes pass it. */
export function podOf(args: Readonly<Record<string, string>>): PodRef {
  const { K8S_POD_UID: uid, K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name } = args;
  return {
    ...(uid ? { uid } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  };
}

/** "namespace/name" where the runtime said so, else the container ID: how messages name a pod. */
export function describePod(pod: PodRef, containerId: string): string {
  if (pod.name === undefined) return `container ${containerId}`;
  return `pod ${pod.namespace === undefined ? '' : `${pod.namespace}/`}${pod.name}`;
}
