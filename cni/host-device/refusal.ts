// Why a device must not be taken from the host. Pure.
import type { Address, Link, Route } from '../../pkg/kernel/kernel.ts';
import { isLinkLocal } from './saved-device.ts';

const DEFAULT_ROUTES: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);
const RTN_UNICAST = 1;

/** The whole of a host's network, as far as it matters here. */
export interface HostNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
}

/** The reasons, in words; empty when the device may be taken. */
export function reasonsToRefuse(device: Link, network: HostNetwork): readonly string[] {
  const reasons = usesOf(device, network).map((use) => `it ${use}`);
  if (device.masterIndex !== undefined) reasons.push('it is a port of a bridge, bond or VRF');
  // Whatever stands on it loses its wire with it: the host may have its address on a macvlan or VLAN.
  for (const upper of linksAbove(device, network.links))
    reasons.push(...usesOf(upper, network).map((use) => `${upper.name}, which stands on it, ${use}`));
  return reasons;
}

function usesOf(link: Link, { addresses, routes }: HostNetwork): string[] {
  const uses: string[] = [];
  const isDefault = (route: Route) => DEFAULT_ROUTES.has(route.dst) && route.type === RTN_UNICAST;
  if (routes.some((route) => route.index === link.index && isDefault(route)))
    uses.push("carries the host's default route");
  const own = addresses
    .filter((address) => address.index === link.index && !isLinkLocal(address.cidr))
    .map((address) => address.cidr);
  if (own.length > 0) uses.push(`has the address ${own.join(', ')}`);
  return uses;
}

/** Macvlans, VLANs and their like on the device, and on those. A veth's "parent" is its other end. */
function linksAbove(device: Link, links: readonly Link[]): Link[] {
  const above = links.filter(
    (link) =>
      link.parentIndex === device.index &&
      link.parentNetnsId === undefined &&
      link.kind !== undefined &&
      link.kind !== 'veth' &&
      link.index !== device.index,
  );
  return above.flatMap((link) => [link, ...linksAbove(link, links)]);
}
