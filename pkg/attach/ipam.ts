// An interface plugin's calls to its IPAM plugin (CNI specification section 4), and what they mean for the interface.
import type { AttachmentCall, Call, JsonObject } from '../cni/plugin.ts';
import type { CniResult } from '../cni/result.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import type { WantedRoute } from '../kernel/plan.ts';

/** The type of the IPAM plugin; undefined for an interface without addresses (no `ipam`, or an empty type). */
export function ipamType(raw: JsonObject): string | undefined {
  const { ipam } = raw;
  if (typeof ipam !== 'object' || ipam === null || !('type' in ipam)) return undefined;
  const { type } = ipam;
  return typeof type === 'string' && type !== '' ? type : undefined;
}

/**
 * An interface plugin that is its own IPAM plugin would call itself without end.
 * @throws ManifoldError 'bad-config'
 */
export function refuseCircle(call: Call<unknown>, plugin: string): void {
  if (ipamType(call.raw) !== plugin) return;
  throw new ManifoldError(
    'bad-config',
    `Cannot use 'ipam.type' as it must name an IPAM plugin: current value is "${plugin}"`,
    { hint: `${plugin} gives interfaces, not addresses. Use manifold-ipam in network ${call.network}.` },
  );
}

/** @throws ManifoldError of the IPAM plugin, or 'delegate' when it answers without an address */
export async function addIpam(call: AttachmentCall<unknown>, type: string): Promise<CniResult> {
  const result = await call.delegates.add(type, call.raw);
  if (result.ips === undefined || result.ips.length === 0)
    throw new ManifoldError('delegate', `Cannot attach ${call.ifname}: IPAM plugin ${type} gave no address`, {
      hint: `Look at "ipam" of network ${call.network}: the plugin succeeded but its result has no "ips".`,
    });
  return result;
}

export async function forwardStatus(call: Call<unknown>): Promise<void> {
  const type = ipamType(call.raw);
  if (type !== undefined) await call.delegates.status(type, call.raw);
}

export async function forwardGc(call: Call<unknown>): Promise<void> {
  const type = ipamType(call.raw);
  if (type !== undefined) await call.delegates.gc(type, call.raw);
}

export async function forwardCheck(call: AttachmentCall<unknown>): Promise<void> {
  const type = ipamType(call.raw);
  if (type !== undefined) await call.delegates.check(type, call.raw);
}

const isIpv6 = (address: string): boolean => address.includes(':');

/** The routes of an IPAM result; one without `gw` goes by the first gateway of its family, if there is one. */
export function wantedRoutes(result: CniResult): WantedRoute[] {
  return (result.routes ?? []).map(({ gw, ...route }) => {
    const gateway =
      gw ??
      result.ips?.find((ip) => ip.gateway !== undefined && isIpv6(ip.address) === isIpv6(route.dst))?.gateway;
    return gateway === undefined ? route : { ...route, gateway };
  });
}
