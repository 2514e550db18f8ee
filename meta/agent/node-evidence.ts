// What this node itself says of a holder: rows and records of its store, namespaces, and which interface answers.
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../pkg/cni/errno.ts';
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
   * False when rows of this boot name namespaces, some of them of pods that live, and not one of them can be seen: then
   * this process rather than the pods has lost them.
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
    if (!ids.has(netns)) ids.set(netns, idOf(kernel, netns));
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

function idOf(kernel: Pick<Kernel, 'openIfThere'>, path: string): string | undefined {
  const namespace = kernel.openIfThere(path);
  namespace?.close();
  return namespace?.id;
}

/** Where runtimes and `ip netns` give namespaces names. */
const NAMED = ['/run/netns', '/var/run/netns', '/var/run/docker/netns'];

/** Every namespace that has a name on this node, once. */
export function namedNamespaces(): string[] {
  const paths = NAMED.flatMap((directory) => {
    try {
      const real = realpathSync(directory);
      return readdirSync(real).map((name) => join(real, name));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    }
  });
  return [...new Set(paths)];
}

/**
 * Which namespaces have which addresses, as text without prefix length. Blocks for about a millisecond a namespace, so
 * it is asked only when something is about to be ended.
 */
export function readAnswering(
  kernel: Pick<Kernel, 'openIfThere'>,
  paths: Iterable<string>,
): ReadonlyMap<string, readonly string[]> {
  const answering = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const path of paths) {
    const namespace = kernel.openIfThere(path);
    if (namespace === undefined) continue;
    try {
      if (seen.has(namespace.id)) continue;
      seen.add(namespace.id);
      for (const { cidr } of namespace.addresses()) {
        const [address = ''] = cidr.split('/');
        answering.set(address, [...(answering.get(address) ?? []), namespace.id]);
      }
    } finally {
      namespace.close();
    }
  }
  return answering;
}
