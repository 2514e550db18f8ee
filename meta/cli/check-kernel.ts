// What the state says is attached, held against the namespaces of the node.
import { describePod } from '../../pkg/attach/deps.ts';
import type { Kernel, Namespace } from '../../pkg/kernel/kernel.ts';
import type { InterfaceRecord, NodeStore } from '../../pkg/state/node-store.ts';

export type Namespaces = Pick<Kernel, 'openIfThere'>;

/** A sentence for each attached interface that its namespace, which is there, does not have. */
export const withoutInterface = (store: NodeStore, namespaces: Namespaces): string[] =>
  store.interfaces
    .all()
    .filter((record) => record.state === 'added' && isMissing(record, namespaces))
    .map(
      ({ ifname, network, netns, pod, containerId }) =>
        `Interface ${ifname} of ${describePod(pod, containerId)}, network ${network}, is not in its namespace ${netns} any more.`,
    );

function isMissing(record: InterfaceRecord, namespaces: Namespaces): boolean {
  const pod = namespaces.openIfThere(record.netns);
  try {
    // Gone, or another sandbox's under the same path: nothing can be said.
    return pod?.id === record.netnsId && !hasInterface(pod, record);
  } finally {
    pod?.close();
  }
}

function hasInterface(pod: Namespace, { ifname, saved: { index, outside } }: InterfaceRecord): boolean {
  // A device of a user-space driver is nowhere in the namespace; a pod may rename the others.
  if (outside === true) return true;
  return pod.link(typeof index === 'number' ? { index } : { name: ifname }) !== undefined;
}
