// A result in any version of the specification, read into the newest form. Keys that no version knows are dropped.
import {
  array,
  check,
  type InferOutput,
  integer,
  minValue,
  nullish,
  number,
  object,
  pipe,
  safeParse,
  string,
} from 'valibot';
import { readAddress } from '../ip/address.ts';
import { readCidr } from '../ip/cidr.ts';
import { configError, problemsOf, sentence } from './config-error.ts';
import type { CniDns, CniInterface, CniIp, CniResult, CniRoute } from './result.ts';
import { type CniVersion, isAtLeast, isSupported, SUPPORTED_VERSIONS } from './versions.ts';

// Go's encoder writes null or "" for what is not there, and 0 for no MTU: all of them are absence.
const text = nullish(string('must be a string'));
const texts = nullish(array(string('must be a string'), 'must be a list of strings'));
const count = nullish(
  pipe(number('must be an integer'), integer('must be an integer'), minValue(0, 'must not be negative')),
);
const ip = nullish(
  pipe(
    string('must be an IP address'),
    check((value) => value === '' || readAddress(value) !== undefined, 'must be an IP address'),
  ),
);
const cidr = pipe(
  string('must be an IP address with prefix length'),
  check((value) => readCidr(value) !== undefined, 'must be an IP address with prefix length'),
);

const route = object({
  dst: cidr,
  gw: ip,
  mtu: count,
  advmss: count,
  priority: count,
  table: count,
  scope: count,
});
const routes = nullish(array(route, 'must be a list'));
const dns = nullish(object({ nameservers: texts, domain: text, search: texts, options: texts }));
const cniInterface = object({
  name: string('must be a string'),
  mac: text,
  mtu: count,
  sandbox: text,
  socketPath: text,
  pciID: text,
});
const cniIp = object({ address: cidr, gateway: ip, interface: count });

const current = object({
  interfaces: nullish(array(cniInterface, 'must be a list')),
  ips: nullish(array(cniIp, 'must be a list')),
  routes,
  dns,
});
const family = nullish(object({ ip: cidr, gateway: ip, routes }));
const legacy = object({ ip4: family, ip6: family, dns });

/**
 * Reads a result, or the prevResult of a configuration, that speaks `version` where it does not say itself.
 * @param key where it stands, for the error: "prevResult"
 * @throws ManifoldError 'bad-config' that names each bad key
 */
export function readResult(value: unknown, version: CniVersion, key: string): CniResult {
  // Valibot takes a list for an object without keys.
  if (Array.isArray(value)) throw configError([{ key, text: sentence(key, 'must be an object', value) }]);
  const spoken = versionOf(value, version, key);
  if (isAtLeast(spoken, '0.3.0')) {
    const parsed = safeParse(current, value);
    if (!parsed.success) throw configError(problemsOf(parsed.issues, key));
    return fromCurrent(parsed.output);
  }
  const parsed = safeParse(legacy, value);
  if (!parsed.success) throw configError(problemsOf(parsed.issues, key));
  return fromLegacy(parsed.output);
}

/** Results older than 1.0.0 need not say their version: it is the configuration's. */
function versionOf(value: unknown, fallback: CniVersion, key: string): CniVersion {
  if (typeof value !== 'object' || value === null || !('cniVersion' in value)) return fallback;
  const { cniVersion } = value;
  if (cniVersion === '' || cniVersion === null || cniVersion === undefined) return fallback;
  if (typeof cniVersion === 'string' && isSupported(cniVersion)) return cniVersion;
  const where = key === '' ? 'cniVersion' : `${key}.cniVersion`;
  const rule = `must be one of ${SUPPORTED_VERSIONS.join(', ')}`;
  throw configError([{ key: where, text: sentence(where, rule, cniVersion) }]);
}

function fromCurrent(from: InferOutput<typeof current>): CniResult {
  return {
    ...(from.interfaces?.length ? { interfaces: from.interfaces.map(interfaceOf) } : {}),
    ...(from.ips?.length ? { ips: from.ips.map(ipOf) } : {}),
    ...(from.routes?.length ? { routes: from.routes.map(routeOf) } : {}),
    ...dnsOf(from.dns),
  };
}

function fromLegacy(from: InferOutput<typeof legacy>): CniResult {
  const families = [from.ip4, from.ip6].filter((one) => one !== undefined && one !== null);
  const all = families.flatMap((one) => one.routes ?? []);
  return {
    ...(families.length > 0
      ? { ips: families.map((one) => ipOf({ address: one.ip, gateway: one.gateway, interface: undefined })) }
      : {}),
    ...(all.length > 0 ? { routes: all.map(routeOf) } : {}),
    ...dnsOf(from.dns),
  };
}

function interfaceOf(from: InferOutput<typeof cniInterface>): CniInterface {
  return {
    name: from.name,
    ...(from.mac ? { mac: from.mac } : {}),
    ...(from.mtu ? { mtu: from.mtu } : {}),
    ...(from.sandbox ? { sandbox: from.sandbox } : {}),
    ...(from.socketPath ? { socketPath: from.socketPath } : {}),
    ...(from.pciID ? { pciID: from.pciID } : {}),
  };
}

function ipOf(from: InferOutput<typeof cniIp>): CniIp {
  return {
    address: from.address,
    ...(from.gateway ? { gateway: from.gateway } : {}),
    ...(typeof from.interface === 'number' ? { interface: from.interface } : {}),
  };
}

function routeOf(from: InferOutput<typeof route>): CniRoute {
  return {
    dst: from.dst,
    ...(from.gw ? { gw: from.gw } : {}),
    ...(from.mtu ? { mtu: from.mtu } : {}),
    ...(from.advmss ? { advmss: from.advmss } : {}),
    ...(from.priority ? { priority: from.priority } : {}),
    // 0 is a value here: table RT_TABLE_UNSPEC, scope universe.
    ...(typeof from.table === 'number' ? { table: from.table } : {}),
    ...(typeof from.scope === 'number' ? { scope: from.scope } : {}),
  };
}

function dnsOf(from: InferOutput<typeof dns>): { readonly dns?: CniDns } {
  const kept: CniDns = {
    ...(from?.nameservers?.length ? { nameservers: from.nameservers } : {}),
    ...(from?.domain ? { domain: from.domain } : {}),
    ...(from?.search?.length ? { search: from.search } : {}),
    ...(from?.options?.length ? { options: from.options } : {}),
  };
  return Object.keys(kept).length === 0 ? {} : { dns: kept };
}
