// What this node itself says of a holder: rows and records of its store, and whether their namespaces are there.
import type { Kernel } from '../../pkg/kernel/kernel.ts';
import type { ClusterLeaseRecord, NodeStore } from '../../pkg/state/node-store.ts';
import type { OwnFacts } from './plan-reclaim.ts';

export type EvidenceStore = Pick<NodeStore, 'clusterLeases' | 'interfaces' | 'isAlive' | 'writer'>;

export interface NodeEvidence {
  /** Rows of this node's store that stand for a lease: what rests is only remembered. */
  readonly rows: readonly ClusterLeaseRecord[];
  /** By all that the store has of this owner, whichever lease it is asked for. */
  sandbox(owner: string): OwnFacts['sandbox'];
  /**
   * False when rows of this boot name namespaces, some of them of pods that live, and not one of them can be seen. Their
   * sandboxes may have ended, or this process may not see what the node sees.
   */
  seesNamespaces(isLiving: (owner: string) => boolean): boolean;
}

interface Trace {
  readonly netns: string;
  readonly netnsId?: string;
  readonly writer: ClusterLeaseRecord['writer'];
  readonly inHand: boolean;
}

/** Reads everything at once: to be read again at the moment of an end. */
export function readEvidence(store: EvidenceStore, kernel: Pick<Kernel, 'openIfThere'>): NodeEvidence {
  const rows = store.clusterLeases.all().filter(({ state }) => state !== 'resting');
  const traces = new Map<string, Trace[]>();
  const add = (owner: string, trace: Trace) => {
    const known = traces.get(owner);
    if (known === undefined) traces.set(owner, [trace]);
    else known.push(trace);
  };
  for (const { owner, netns, writer, state } of rows) {
    // Another call's, or this process' own of a moment ago: what is being released is ended by finishReleases.
    const inHand = state === 'releasing' || (state !== 'held' && store.isAlive(writer));
    add(owner, { netns, writer, inHand });
  }
  for (const { pod, containerId, netns, netnsId, writer, state } of store.interfaces.all())
    add(pod.uid ?? containerId, {
      ...{ netns, netnsId, writer },
      inHand: state === 'adding' && store.isAlive(writer),
    });

  const ids = new Map<string, string | undefined>();
  const isThere = ({ netns, netnsId, writer }: Trace): boolean => {
    // No namespace outlives the kernel that it was in; a new one may have its path.
    if (netns === '' || writer.bootId !== store.writer.bootId) return false;
    if (!ids.has(netns)) ids.set(netns, namespaceId(kernel, netns));
    const id = ids.get(netns);
    return id !== undefined && (netnsId === undefined || netnsId === id);
  };
  const ofThisBoot = rows.filter(({ writer }) => writer.bootId === store.writer.bootId);
  return {
    rows,
    sandbox(owner) {
      const own = traces.get(owner);
      if (own === undefined) return 'none';
      if (own.some(({ inHand }) => inHand)) return 'in-hand';
      return own.some(isThere) ? 'there' : 'gone';
    },
    seesNamespaces: (isLiving) =>
      !ofThisBoot.some(({ owner, state }) => state === 'held' && isLiving(owner)) ||
      ofThisBoot.some(({ netns, writer }) => isThere({ netns, writer, inHand: false })),
  };
}

/** Of the namespace at a path; undefined when there is none. */
export function namespaceId(kernel: Pick<Kernel, 'openIfThere'>, path: string): string | undefined {
  const namespace = kernel.openIfThere(path);
  namespace?.close();
  return namespace?.id;
}
