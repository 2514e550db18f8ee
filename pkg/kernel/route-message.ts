// Routes as rtnetlink messages: rtmsg, RTA_* and RTAX_* attributes, multipath included. Pure.
import { type Attributes, attribute, nested, readAttributes, u32, u32Of } from './attributes.ts';
import { AF_INET, type AF_INET6, formatAddress, networkOf, parseAddress, parsePrefix } from './inet.ts';
import type { NewRoute, Route } from './kernel.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTAX_MTU = 2;
const RTAX_ADVMSS = 8;

const RT_TABLE_UNSPEC = 0;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNSPEC = 0;
const RTN_UNICAST = 1;
const RTM_F_CLONED = 0x200;
const HEADER_BYTES = 12;
/** struct rtnexthop: length, flags, hops, interface. */
const NEXTHOP_BYTES = 8;

/** Body of the RTM_GETROUTE dump of one family. */
export function listRoutesBody(family: typeof AF_INET | typeof AF_INET6): Uint8Array[] {
  return [header({ family })];
}

/**
 * One Route for each next hop; none for a cached one or, as a kernel without IPv6 answers for all families when
 * asked for that one, a family that was not asked for.
 */
export function parseRoutes(payload: Buffer, family: typeof AF_INET | typeof AF_INET6): Route[] {
  if (payload.readUInt8(0) !== family || (payload.readUInt32LE(8) & RTM_F_CLONED) !== 0) return [];
  const found = readAttributes(payload.subarray(HEADER_BYTES));
  const dst = found.get(RTA_DST);
  const source = found.get(RTA_PREFSRC);
  const metrics = found.get(RTA_METRICS);
  const metric = metrics === undefined ? new Map() : readAttributes(metrics);
  const common = {
    dst: `${dst === undefined ? (family === AF_INET ? '0.0.0.0' : '::') : formatAddress(dst)}/${payload.readUInt8(1)}`,
    source: source === undefined ? undefined : formatAddress(source),
    priority: u32Of(found, RTA_PRIORITY) ?? 0,
    table: u32Of(found, RTA_TABLE) ?? payload.readUInt8(4),
    scope: payload.readUInt8(6),
    type: payload.readUInt8(7),
    protocol: payload.readUInt8(5),
    mtu: u32Of(metric, RTAX_MTU),
    advmss: u32Of(metric, RTAX_ADVMSS),
  };
  const multipath = found.get(RTA_MULTIPATH);
  const hops =
    multipath === undefined
      ? [{ index: u32Of(found, RTA_OIF), gateway: gatewayOf(found) }]
      : nextHops(multipath);
  return hops.map((hop) => ({ ...common, ...hop }));
}

/** Body of RTM_NEWROUTE. */
export function newRouteBody(route: NewRoute): Uint8Array[] {
  const { family, attributes } = matchOf(route);
  // An IPv4 route without a gateway is on the link, or the kernel would look for a router; IPv6 ignores it.
  const scope = family === AF_INET && route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const metrics = [
    ...(route.mtu === undefined ? [] : [u32(RTAX_MTU, route.mtu)]),
    ...(route.advmss === undefined ? [] : [u32(RTAX_ADVMSS, route.advmss)]),
  ];
  return [
    header({
      family,
      length: dstLength(route),
      scope: route.scope ?? scope,
      type: RTN_UNICAST,
      protocol: route.protocol ?? RTPROT_BOOT,
    }),
    ...attributes,
    ...(route.source === undefined ? [] : [attribute(RTA_PREFSRC, parseAddress(route.source).bytes)]),
    ...(metrics.length === 0 ? [] : [nested(RTA_METRICS, metrics)]),
  ];
}

/** Body of RTM_DELROUTE: any protocol, type and, unless given, scope. */
export function removeRouteBody(route: NewRoute): Uint8Array[] {
  const { family, attributes } = matchOf(route);
  const scope = route.scope ?? RT_SCOPE_NOWHERE;
  return [header({ family, length: dstLength(route), scope }), ...attributes];
}

/** What identifies a route, in both messages. */
function matchOf(route: NewRoute): { readonly family: number; readonly attributes: readonly Uint8Array[] } {
  const dst = networkOf(parsePrefix(route.dst));
  return {
    family: dst.family,
    attributes: [
      ...(dst.length === 0 ? [] : [attribute(RTA_DST, dst.bytes)]),
      u32(RTA_OIF, route.index),
      u32(RTA_TABLE, route.table ?? RT_TABLE_MAIN),
      ...(route.gateway === undefined ? [] : [gatewayAttribute(route.gateway, dst.family)]),
      ...(route.priority === undefined ? [] : [u32(RTA_PRIORITY, route.priority)]),
    ],
  };
}

function dstLength(route: NewRoute): number {
  return parsePrefix(route.dst).length;
}

/** A gateway of the other family (an IPv6 router for IPv4, RFC 5549) goes into RTA_VIA. */
function gatewayAttribute(gateway: string, family: number): Uint8Array {
  const address = parseAddress(gateway);
  if (address.family === family) return attribute(RTA_GATEWAY, address.bytes);
  return attribute(RTA_VIA, Buffer.concat([Buffer.from([address.family, 0]), address.bytes]));
}

function gatewayOf(found: Attributes): string | undefined {
  const gateway = found.get(RTA_GATEWAY) ?? found.get(RTA_VIA)?.subarray(2);
  return gateway === undefined ? undefined : formatAddress(gateway);
}

function nextHops(multipath: Buffer): { readonly index: number; readonly gateway: string | undefined }[] {
  const hops = [];
  for (let offset = 0; offset + NEXTHOP_BYTES <= multipath.length; ) {
    const length = multipath.readUInt16LE(offset);
    const found = readAttributes(multipath.subarray(offset + NEXTHOP_BYTES, offset + length));
    hops.push({ index: multipath.readInt32LE(offset + 4), gateway: gatewayOf(found) });
    offset += Math.max(NEXTHOP_BYTES, (length + 3) & ~3);
  }
  return hops;
}

interface Header {
  readonly family: number;
  readonly length?: number;
  readonly protocol?: number;
  readonly scope?: number;
  readonly type?: number;
}

/** struct rtmsg. The table is always in RTA_TABLE, as here it would end at 255. */
function header({ family, length = 0, protocol = 0, scope = 0, type = RTN_UNSPEC }: Header): Buffer {
  return Buffer.from([family, length, 0, 0, RT_TABLE_UNSPEC, protocol, scope, type, 0, 0, 0, 0]);
}
