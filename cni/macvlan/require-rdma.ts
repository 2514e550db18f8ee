// Whether a pod can use RDMA over a macvlan: through the GIDs that its addresses get at the RDMA device of the parent.
import type { RdmaDeps } from '../../pkg/attach/rdma-device.ts';
import type { Call } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link, Namespace } from '../../pkg/kernel/kernel.ts';
import type { MacvlanConfig } from './config.ts';

/**
 * Does nothing unless the configuration requires RDMA.
 * @param place the namespace of the parent
 * @throws ManifoldError 'not-found' for a parent without RDMA, 'unsupported-field' where it cannot be shared
 */
export function requireRdma(
  { rdma }: RdmaDeps,
  { config, network }: Call<MacvlanConfig>,
  place: Namespace,
  parent: Link,
): void {
  if (config.manifold.rdma !== 'require') return;
  const there = rdma(place);
  const below = linksBelow(parent, place.links());
  const device = there
    .devices()
    .find(({ index }) =>
      there.ports(index).some(({ netdev }) => netdev !== undefined && below.has(netdev.index)),
    );
  if (device === undefined)
    throw new ManifoldError(
      'not-found',
      `Cannot give RDMA to a macvlan of network ${network}: its parent ${parent.name} has no RDMA device`,
      { hint: `Load the RDMA driver of ${parent.name} (mlx5_ib, irdma, bnxt_re, rdma_rxe): rdma link show.` },
    );
  // In one namespace with its parent a macvlan has RDMA in either mode.
  if (config.linkInContainer || there.mode() === 'shared') return;
  throw new ManifoldError(
    'unsupported-field',
    `Cannot give RDMA to a macvlan of network ${network}: RDMA device ${device.name} of its parent ${parent.name} is the host's alone, and moving it would take it from all others`,
    {
      hint: 'In exclusive mode a pod needs a device of its own: use sriov or host-device, or shared mode ("rdma system set netns shared").',
    },
  );
}

/** Indexes of the interface itself, of what a VLAN stands on, and of a bond's ports. */
function linksBelow(link: Link, links: readonly Link[]): ReadonlySet<number> {
  const found = new Set<number>();
  const add = (one: Link) => {
    if (found.has(one.index)) return;
    found.add(one.index);
    for (const other of links) {
      const isParent = one.parentIndex === other.index && one.parentNetnsId === undefined;
      if (isParent || other.masterIndex === one.index) add(other);
    }
  };
  add(link);
  return found;
}
