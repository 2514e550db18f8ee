// The form of an ADD result in each version of the specification, as a list of complaints about one.
import { isIP } from 'node:net';
import { isObject, type Json, type JsonObject, objectsOf, stringOf } from './json.ts';
import type { Kind } from './row.ts';
import { isAtLeast, type SpecVersion } from './spec-versions.ts';

/** What is wrong with a result for that version; empty where nothing is. */
export function complaintsAbout(result: JsonObject, version: SpecVersion, kind: Kind): readonly string[] {
  const own = isAtLeast(version, '0.3.0')
    ? [...interfaceComplaints(result, version, kind), ...ipComplaints(result, version, kind)]
    : oldIpComplaints(result);
  return [...own, ...routeComplaints(result.routes, version), ...dnsComplaints(result.dns)];
}

function interfaceComplaints(result: JsonObject, version: SpecVersion, kind: Kind): string[] {
  const interfaces = result.interfaces;
  if (interfaces === undefined) return kind === 'ipam' ? [] : ['interfaces is missing'];
  if (kind === 'ipam') return ['interfaces is there, in the result of an IPAM plugin'];
  if (!isObjectList(interfaces)) return ['interfaces is no list of objects'];
  return objectsOf(interfaces).flatMap((entry, index) => {
    const at = `interfaces[${index}]`;
    const young = ['mtu', 'socketPath', 'pciID'].filter(
      (key) => key in entry && !isAtLeast(version, '1.1.0'),
    );
    return [
      ...(stringOf(entry.name) ? [] : [`${at}.name is no name`]),
      ...['mac', 'sandbox', 'socketPath', 'pciID']
        .filter((key) => !isOptionalString(entry[key]))
        .map(noString(at)),
      ...(isOptionalCount(entry.mtu) ? [] : [`${at}.mtu is no whole number`]),
      ...young.map((key) => `${at}.${key} came with 1.1.0`),
    ];
  });
}

function ipComplaints(result: JsonObject, version: SpecVersion, kind: Kind): string[] {
  const old = ['ip4', 'ip6'].filter((key) => key in result).map((key) => `${key} went with 0.3.0`);
  const ips = result.ips;
  if (ips === undefined) return old;
  if (!isObjectList(ips)) return [...old, 'ips is no list of objects'];
  const interfaces = objectsOf(result.interfaces).length;
  return [
    ...old,
    ...objectsOf(ips).flatMap((entry, index) =>
      ipEntryComplaints(entry, `ips[${index}]`, version, kind, interfaces),
    ),
  ];
}

function ipEntryComplaints(
  entry: JsonObject,
  at: string,
  version: SpecVersion,
  kind: Kind,
  interfaces: number,
): string[] {
  const family = isCidr(entry.address);
  const index = entry.interface;
  const found: string[] = [];
  if (family === 0) found.push(`${at}.address is no address with prefix length`);
  if (entry.gateway !== undefined && isAddress(entry.gateway) === 0)
    found.push(`${at}.gateway is no address`);
  if (isAtLeast(version, '1.0.0') && 'version' in entry) found.push(`${at}.version went with 1.0.0`);
  if (!isAtLeast(version, '1.0.0') && entry.version !== String(family))
    found.push(`${at}.version is not "${family}"`);
  if (index === undefined) return found;
  if (kind === 'ipam') found.push(`${at}.interface is there, in the result of an IPAM plugin`);
  else if (!isOptionalCount(index) || Number(index) >= interfaces)
    found.push(`${at}.interface is no index of interfaces`);
  return found;
}

function oldIpComplaints(result: JsonObject): string[] {
  const young = ['interfaces', 'ips'].filter((key) => key in result).map((key) => `${key} came with 0.3.0`);
  return [...young, ...(['ip4', 'ip6'] as const).flatMap((key) => oldFamilyComplaints(result[key], key))];
}

function oldFamilyComplaints(entry: Json | undefined, key: 'ip4' | 'ip6'): string[] {
  if (entry === undefined) return [];
  if (!isObject(entry)) return [`${key} is no object`];
  const family = key === 'ip4' ? 4 : 6;
  return [
    ...(isCidr(entry.ip) === family ? [] : [`${key}.ip is no IPv${family} address with prefix length`]),
    ...routeComplaints(entry.routes, '0.2.0'),
  ];
}

function routeComplaints(routes: Json | undefined, version: SpecVersion): string[] {
  if (routes === undefined) return [];
  if (!isObjectList(routes)) return ['routes is no list of objects'];
  return objectsOf(routes).flatMap((route, index) => {
    const numbers = ['mtu', 'advmss', 'priority', 'table', 'scope'].filter((key) => key in route);
    const at = `routes[${index}]`;
    return [
      ...(isCidr(route.dst) === 0 ? [`${at}.dst is no CIDR`] : []),
      ...(route.gw !== undefined && isAddress(route.gw) === 0 ? [`${at}.gw is no address`] : []),
      ...numbers
        .filter((key) => !isOptionalCount(route[key]))
        .map((key) => `${at}.${key} is no whole number`),
      ...numbers.filter(() => !isAtLeast(version, '1.1.0')).map((key) => `${at}.${key} came with 1.1.0`),
    ];
  });
}

function dnsComplaints(dns: Json | undefined): string[] {
  if (dns === undefined) return [];
  if (!isObject(dns)) return ['dns is no object'];
  const lists = ['nameservers', 'search', 'options'].filter((key) => !isOptionalStringList(dns[key]));
  return [
    ...(isOptionalString(dns.domain) ? [] : ['dns.domain is no string']),
    ...lists.map((key) => `dns.${key} is no list of strings`),
  ];
}

function noString(at: string): (key: string) => string {
  return (key) => `${at}.${key} is no string`;
}

function isObjectList(value: Json): boolean {
  return Array.isArray(value) && value.every(isObject);
}

function isOptionalString(value: Json | undefined): boolean {
  return value === undefined || typeof value === 'string';
}

function isOptionalStringList(value: Json | undefined): boolean {
  return value === undefined || (Array.isArray(value) && value.every((entry) => typeof entry === 'string'));
}

function isOptionalCount(value: Json | undefined): boolean {
  return value === undefined || (Number.isInteger(value) && Number(value) >= 0);
}

/** 4, 6, or 0 for what is no address. */
function isAddress(value: Json | undefined): number {
  return typeof value === 'string' ? isIP(value) : 0;
}

function isCidr(value: Json | undefined): number {
  if (typeof value !== 'string') return 0;
  const [address = '', length = '', ...rest] = value.split('/');
  const family = isIP(address);
  const limit = family === 4 ? 32 : 128;
  return /^\d{1,3}$/.test(length) && Number(length) <= limit && rest.length === 0 ? family : 0;
}
