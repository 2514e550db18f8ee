// The result of ADD for one interface, and what CHECK may expect of it.
import type { CheckCall, JsonObject } from '../cni/plugin.ts';
import type { CniDns, CniInterface, CniResult } from '../cni/result.ts';
import { ManifoldError } from '../errors/manifold-error.ts';

/**
 * The result of a plugin that made `made` and had its addresses from `ipam`. What an earlier plugin of the list
 * reported (`previous`) stays in front, as CNI specification section 3 demands of chained plugins.
 */
export function interfaceResult(
  made: CniInterface,
  ipam: CniResult | undefined,
  confDns: CniDns | undefined,
  previous: CniResult | undefined,
): CniResult {
  const before = previous?.interfaces ?? [];
  const ips = (ipam?.ips ?? []).map((ip) => ({ ...ip, interface: before.length }));
  const routes = ipam?.routes ?? [];
  const dns = confDns ?? ipam?.dns ?? previous?.dns;
  return {
    interfaces: [...before, made],
    ips: [...(previous?.ips ?? []), ...ips],
    routes: [...(previous?.routes ?? []), ...routes],
    ...(dns === undefined ? {} : { dns }),
  };
}

/** `dns` of the network configuration, when it says anything. */
export function configuredDns(raw: JsonObject): CniDns | undefined {
  const { dns } = raw;
  if (typeof dns !== 'object' || dns === null || Array.isArray(dns) || Object.keys(dns).length === 0)
    return undefined;
  return dns as CniDns;
}

/** The part of a prevResult that speaks of one interface: CHECK is held to this. */
export interface Expected {
  readonly made: CniInterface;
  readonly result: CniResult;
}

/**
 * @throws ManifoldError 'check-failed' when prevResult has no interface of the call's name in its namespace
 */
export function expectedOf(call: CheckCall<unknown>): Expected {
  const { prevResult, ifname, netns } = call;
  const index = (prevResult.interfaces ?? []).findIndex((i) => i.name === ifname && i.sandbox === netns);
  const made = prevResult.interfaces?.[index];
  if (made === undefined)
    throw new ManifoldError(
      'check-failed',
      `Cannot find ${ifname} in prevResult: no interface of that name has the sandbox ${netns}`,
      { hint: 'The runtime must pass the result of ADD for this container and interface.' },
    );
  const ips = (prevResult.ips ?? []).filter((ip) => ip.interface === index);
  // Routes have no interface of their own: with several interfaces in the result, each gateway tells whose they are.
  const gateways = new Set(ips.map((ip) => ip.gateway));
  const alone = (prevResult.interfaces ?? []).filter((i) => i.sandbox === netns).length === 1;
  const routes = (prevResult.routes ?? []).filter(
    (route) => alone || (route.gw !== undefined && gateways.has(route.gw)),
  );
  return { made, result: { ips, routes } };
}
