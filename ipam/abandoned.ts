// Whether a claim that was never finished still means anything.
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { NodeStore, Writer } from '../pkg/state/node-store.ts';

export interface Claimed {
  readonly ifname: string;
  readonly netns: string;
  readonly writer: Writer;
}

/** True when the process that claimed it is gone, and so is the pod's namespace, or the interface in it. */
export function isAbandoned(
  store: Pick<NodeStore, 'isAlive' | 'writer'>,
  kernel: Pick<Kernel, 'openIfThere'>,
  { ifname, netns, writer }: Claimed,
): boolean {
  if (store.isAlive(writer)) return false;
  // No namespace outlives the kernel that it was in; a new one may have its path.
  if (writer.bootId !== store.writer.bootId) return true;
  const namespace = kernel.openIfThere(netns);
  if (namespace === undefined) return true;
  try {
    return namespace.link({ name: ifname }) === undefined;
  } finally {
    namespace.close();
  }
}
