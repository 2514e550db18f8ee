// A result in the newest form, written in the version that the caller asked for. What it cannot carry is dropped.
import type { JsonObject } from './plugin.ts';
import type { CniDns, CniInterface, CniIp, CniResult, CniRoute } from './result.ts';
import { type CniVersion, isAtLeast } from './versions.ts';

/** The JSON of a result, `cniVersion` included. Empty lists are left out, as libcni does. */
export function writeResult(result: CniResult, version: CniVersion): JsonObject {
  if (!isAtLeast(version, '0.3.0')) return writeLegacy(result, version);
  const { interfaces = [], ips = [], routes = [] } = result;
  const full = isAtLeast(version, '1.1.0');
  const withFamily = !isAtLeast(version, '1.0.0');
  return {
    cniVersion: version,
    ...(interfaces.length > 0 ? { interfaces: interfaces.map((one) => interfaceIn(one, full)) } : {}),
    ...(ips.length > 0 ? { ips: ips.map((one) => ipIn(one, withFamily)) } : {}),
    ...(routes.length > 0 ? { routes: routes.map((one) => (full ? fullRoute(one) : plainRoute(one))) } : {}),
    ...dnsIn(result.dns),
  };
}

/** 0.1.0 and 0.2.0 hold one address of each family, with the routes of that family; the first address is kept. */
function writeLegacy(result: CniResult, version: CniVersion): JsonObject {
  const family = (which: 4 | 6): JsonObject | undefined => {
    const first = result.ips?.find((one) => familyOf(one.address) === which);
    if (first === undefined) return undefined;
    const routes = (result.routes ?? []).filter((one) => familyOf(one.dst) === which);
    return {
      ip: first.address,
      ...(first.gateway === undefined ? {} : { gateway: first.gateway }),
      ...(routes.length > 0 ? { routes: routes.map(plainRoute) } : {}),
    };
  };
  const [ip4, ip6] = [family(4), family(6)];
  return {
    cniVersion: version,
    ...(ip4 === undefined ? {} : { ip4 }),
    ...(ip6 === undefined ? {} : { ip6 }),
    ...dnsIn(result.dns),
  };
}

function interfaceIn(
  { name, mac, mtu, sandbox, socketPath, pciID }: CniInterface,
  full: boolean,
): JsonObject {
  return {
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(full && mtu !== undefined ? { mtu } : {}),
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(full && socketPath !== undefined ? { socketPath } : {}),
    ...(full && pciID !== undefined ? { pciID } : {}),
  };
}

function ipIn(ip: CniIp, withFamily: boolean): JsonObject {
  return {
    ...(withFamily ? { version: String(familyOf(ip.address)) } : {}),
    ...(ip.interface === undefined ? {} : { interface: ip.interface }),
    address: ip.address,
    ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
  };
}

function plainRoute({ dst, gw }: CniRoute): JsonObject {
  return { dst, ...(gw === undefined ? {} : { gw }) };
}

function fullRoute(route: CniRoute): JsonObject {
  const { mtu, advmss, priority, table, scope } = route;
  return {
    ...plainRoute(route),
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    ...(priority === undefined ? {} : { priority }),
    ...(table === undefined ? {} : { table }),
    ...(scope === undefined ? {} : { scope }),
  };
}

function dnsIn(dns: CniDns | undefined): { readonly dns?: JsonObject } {
  const { nameservers = [], domain, search = [], options = [] } = dns ?? {};
  const kept: JsonObject = {
    ...(nameservers.length > 0 ? { nameservers } : {}),
    ...(domain === undefined ? {} : { domain }),
    ...(search.length > 0 ? { search } : {}),
    ...(options.length > 0 ? { options } : {}),
  };
  return Object.keys(kept).length === 0 ? {} : { dns: kept };
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
