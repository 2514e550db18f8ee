// Why a device must not be taken from the host.
import type { AddCall, Call } from '../cni/plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Address, Link, Namespace, Route } from '../kernel/kernel.ts';
import { isLinkLocal } from './saved-device.ts';

const DEFAULT_ROUTES: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);
const RTN_UNICAST = 1;

/** The whole of a host's network, as far as it matters here. */
export interface HostNetwork {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
}

export const readHostNetwork = (host: Namespace): HostNetwork => ({
  links: host.links(),
  addresses: host.addresses(),
  routes: host.routes(),
});

/** What a plugin that takes devices may be told: take it all the same. */
interface ForceConfig {
  readonly manifold: { readonly force: boolean };
}

/** @throws ManifoldError 'device-held' with every reason, unless the configuration forces it */
export function refuseInUse(call: AddCall<ForceConfig>, link: Link, network: HostNetwork): void {
  if (link.loopback)
    throw new ManifoldError(
      'bad-config',
      `Cannot take ${link.name}: a loopback interface cannot leave its namespace`,
    );
  const reasons = reasonsToRefuse(link, network);
  if (reasons.length === 0) return;
  if (!call.config.manifold.force) throw refusal(call, link, reasons);
  call.log.warn('device is in use by the host and taken all the same', { device: link.name, reasons });
}

/** As refuseInUse, for STATUS. */
export function refuseInUseNow(call: Call<ForceConfig>, link: Link, host: Namespace): void {
  if (call.config.manifold.force) return;
  const reasons = reasonsToRefuse(link, readHostNetwork(host));
  if (reasons.length > 0) throw refusal(call, link, reasons);
}

function refusal(call: Call<unknown>, link: Link, reasons: readonly string[]): ManifoldError {
  return new ManifoldError('device-held', `Cannot take ${link.name} from the host: ${reasons.join('; ')}`, {
    hint: `The host would lose it for the life of the pod. Name another device in network ${call.network}, free this one, or set "manifold": {"force": true} if it is meant.`,
  });
}

/** The reasons, in words; empty when the device may be taken. */
function reasonsToRefuse(device: Link, network: HostNetwork): readonly string[] {
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
