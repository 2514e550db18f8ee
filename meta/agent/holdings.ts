// What may have to be ended, or is to be kept: leases of this node at the API server, rows of its store, or both together.
import type { ClusterLeaseRecord } from '../../pkg/state/node-store.ts';
import type { SeenLease, SeenOwner } from './seen-lease.ts';

/** Something that may have to be ended: a lease of the cluster, a row of this node, or both. */
export interface Holding {
  readonly key: string;
  readonly name: string;
  readonly address: string;
  readonly owner: SeenOwner;
  readonly lease: SeenLease | undefined;
  readonly row: ClusterLeaseRecord | undefined;
}

/** Each lease that is held with its row, then the rows alone. */
export function* holdings(
  leases: Iterable<SeenLease>,
  rows: readonly ClusterLeaseRecord[],
): Generator<Holding, void, undefined> {
  const byKey = new Map(rows.map((row) => [keyOf(row.name, row.owner, row.ifname), row]));
  for (const lease of leases) {
    if (lease.phase !== 'Held') continue;
    const { name, address } = lease;
    const key = keyOf(name, lease.owner.uid, lease.owner.ifname);
    const row = byKey.get(key);
    byKey.delete(key);
    // The row knows the newest sandbox: the object may be behind.
    yield { key, name, address, owner: row === undefined ? lease.owner : ownerOfRow(row), lease, row };
  }
  // Rows whose lease the mirror lacks: another's by now, or gone, or only late.
  for (const [key, row] of byKey)
    if (row.state === 'held')
      yield { key, name: row.name, address: row.address, owner: ownerOfRow(row), lease: undefined, row };
}

const keyOf = (name: string, owner: string, ifname: string): string => `${name} ${owner} ${ifname}`;

const ownerOfRow = ({ pod, owner, ifname, containerId }: ClusterLeaseRecord): SeenOwner => ({
  podNamespace: pod.namespace,
  podName: pod.name,
  uid: owner,
  ifname,
  containerId,
});

/** "namespace/name" */
export const podName = ({ podNamespace, podName: name }: SeenOwner): string => `${podNamespace}/${name}`;

/** For the log. */
export const describe = ({ owner }: Holding) => ({
  ...(owner.podName === undefined ? { container: owner.containerId } : { pod: podName(owner) }),
  uid: owner.uid,
  interface: owner.ifname,
});
