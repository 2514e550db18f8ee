// Why a device must not be taken from the host. Pure.
import type { Address, Link, Route } from '../../pkg/kernel/kernel.ts';
import { isLinkLocal } from './saved-device.ts';

const DEFAULT_ROUTES: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);

/** The reasons, in words; empty when the device may be taken. */
export function reasonsToRefuse(
  link: Link,
  addresses: readonly Address[],
  routes: readonly Route[],
): readonly string[] {
  const reasons: string[] = [];
  if (routes.some((route) => DEFAULT_ROUTES.has(route.dst) && route.type === 1))
    reasons.push("it carries the host's default route");
  const own = addresses.filter((address) => !isLinkLocal(address.cidr)).map((address) => address.cidr);
  if (own.length > 0) reasons.push(`it has the address ${own.join(', ')}`);
  if (link.masterIndex !== undefined) reasons.push('it is a port of a bridge, bond or VRF');
  return reasons;
}
