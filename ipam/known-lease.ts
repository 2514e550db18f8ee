// A lease of the cluster as the rules see one: from the node's row, or from the object.
import { type Address, formatAddress } from '../pkg/ip/address.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import { type IpLease, restsByDefault } from './ip-lease.ts';
import type { KnownLease } from './lease-store.ts';

/** @param nodeName of this node; absent where no cluster is named */
export function knownRow(row: ClusterLeaseRecord, nodeName?: string): KnownLease {
  const { domain, address, network, owner, ifname, containerId, pod, acquired, until } = row;
  const lease = {
    ...{ domain, address, network, owner, ifname, containerId, pod, acquired },
    ...(nodeName !== undefined && { node: nodeName }),
  };
  if (row.state === 'resting') return { ...lease, state: 'resting', until: until ?? 0 };
  // Of one that is being released the API server may not know yet: to everybody else it is held.
  return { ...lease, state: row.state === 'claiming' || row.state === 'claimed' ? 'claimed' : 'held' };
}

export function knownLease(lease: IpLease): KnownLease {
  const { address, domain, network, node, owner, phase, acquired, until } = lease.spec;
  const { uid, podNamespace, podName, containerID } = owner;
  const known = {
    ...{ domain, address, network, node, owner: uid, ifname: owner.interface, containerId: containerID },
    pod: {
      ...(podNamespace !== undefined && { namespace: podNamespace }),
      ...(podName !== undefined && { name: podName }),
      // A container's ID stands for the UID where no pod was named.
      ...(podName !== undefined && { uid }),
    },
    acquired: Date.parse(acquired),
  };
  if (phase === 'Held') return { ...known, state: 'held' };
  return { ...known, state: 'resting', until: restsByDefault(lease.spec) ? 0 : Date.parse(until ?? '') || 0 };
}

/** Taken, and nobody can say by whom: another allocator's reservation, or a lease that went as it was looked at. */
export const heldByUnknown = (domain: string, address: Address): KnownLease => ({
  ...{
    domain,
    address: formatAddress(address),
    network: 'of another allocator',
    owner: '',
    ifname: 'unknown',
  },
  ...{ containerId: 'unknown', pod: {}, state: 'held', acquired: 0 },
});
