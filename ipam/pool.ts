// One range of a configuration, worked out: which addresses may be given, as a few intervals, never as a list.
import { type Address, type Family, formatAddress, highest, readAddress } from '../pkg/ip/address.ts';
import { type Cidr, firstOf, formatCidr, lastOf, parseCidr, readCidr, subnetOf } from '../pkg/ip/cidr.ts';
import {
  type AddressRange,
  formatRange,
  rangeContains,
  rangeOfAddress,
  rangeOfCidr,
  rangesOverlap,
  sizeOf,
  subtractRanges,
} from '../pkg/ip/range.ts';

export interface Pool {
  /** Addresses are unique within a domain. */
  readonly domain: string;
  readonly subnet: Cidr;
  /** What may be given, lowest first; at least one. */
  readonly usable: readonly AddressRange[];
  /** Configured exclusions: never given, not even when asked for. */
  readonly excluded: readonly AddressRange[];
  /** Of this family: never given, in the result as the gateway of the address. */
  readonly gateway: Address | undefined;
  readonly terms: LeaseTerms;
}

/** How the addresses of a range are given and given back. */
export interface LeaseTerms {
  /** Absent: the lowest first where there are few, spread where there are many. */
  readonly order?: 'lowest' | 'spread';
  /** How long a freed address rests. Absent: a while, and less when nothing else is free. */
  readonly reuseDelaySeconds?: number;
  /** How long the address of a StatefulSet's pod is kept for the next pod of its name. */
  readonly stickySeconds?: number;
}

/** A range as it stands in a configuration; `key` names it in errors, e.g. "ipam.ipRanges[0]". */
export interface PoolSpec {
  /** "10.1.0.0/16", host bits allowed, or "10.1.0.10-10.1.0.20/16". */
  readonly range: string;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** What the keys are called: they differ between Whereabouts and host-local. */
  readonly keys: {
    readonly range: string;
    readonly start: string;
    readonly end: string;
    readonly exclude: string;
  };
}

/** One thing wrong with a range: "Cannot use '<key>' as it <rule>". */
export interface PoolProblem {
  readonly key: string;
  readonly rule: string;
  readonly value: unknown;
}

export interface PoolContext {
  /** Allocation domain; undefined: one for each subnet. */
  readonly domain: string;
  readonly domainPerSubnet: boolean;
  /** Gateways of the configuration, of both families. */
  readonly gateways: readonly Address[];
  /** host-local's rule: without a gateway the first address of the subnet is the gateway. */
  readonly firstIsGateway: boolean;
  readonly terms: LeaseTerms;
}

/** @returns the pool, or what is wrong with the range */
export function poolOf(spec: PoolSpec, context: PoolContext): Pool | PoolProblem {
  const { keys } = spec;
  const outer = readOuter(spec.range);
  if (typeof outer === 'string') return { key: keys.range, rule: outer, value: spec.range };
  const { subnet } = outer;
  const { family } = subnet.address;

  let { first, last } = outer;
  for (const [key, text] of [
    [keys.start, spec.start],
    [keys.end, spec.end],
  ] as const) {
    if (text === undefined || text === '') continue;
    const rule = `must be an IPv${family} address within ${formatCidr(subnet)}`;
    const address = readAddress(text);
    if (address === undefined || !within(subnet, address)) return { key, rule, value: text };
    if (key === keys.start) first = address.value;
    else last = address.value;
  }
  if (first > last)
    return {
      key: spec.start === undefined ? keys.end : keys.start,
      rule: `must not be above the end of the range, ${formatAddress({ family, value: last })}`,
      value: spec.start ?? spec.end,
    };

  const unfit = notForHosts().find((range) => rangesOverlap(range, { family, first, last }));
  if (unfit !== undefined)
    return {
      key: keys.range,
      rule: `must hold only addresses that an interface can have, and none of ${formatRange(unfit)}`,
      value: spec.range,
    };

  const excluded: AddressRange[] = [];
  for (const [index, text] of (spec.exclude ?? []).entries()) {
    const hole = readHole(text);
    if (hole === undefined || hole.family !== family)
      return {
        key: `${keys.exclude}[${index}]`,
        rule: `must be an IPv${family} address or CIDR`,
        value: text,
      };
    excluded.push(hole);
  }

  const gateway = gatewayOf(subnet, context);
  const reserved = context.gateways.map(rangeOfAddress);
  if (gateway !== undefined) reserved.push(rangeOfAddress(gateway));
  const usable = subtractRanges({ family, first, last }, [...excluded, ...reserved, ...specialOf(subnet)]);
  if (usable.length === 0)
    return { key: keys.range, rule: 'must leave an address to give', value: spec.range };
  const domain = context.domainPerSubnet ? `${context.domain}@${formatCidr(subnet)}` : context.domain;
  return { domain, subnet, usable, excluded, gateway, terms: context.terms };
}

const NOT_FOR_HOSTS = [
  // "This network", loopback, multicast and limited broadcast (RFC 6890, RFC 4291).
  ...['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32', '::/127', 'ff00::/8'],
  // IPv4-mapped: never on a wire (RFC 4291 2.5.5.2), and an API server takes none for an address.
  '::ffff:0:0/96',
];

const notForHosts = (): AddressRange[] => NOT_FOR_HOSTS.map((text) => rangeOfCidr(parseCidr(text)));

/** Network and broadcast address of IPv4, subnet-router anycast of IPv6 (RFC 4291 2.6.1); none in /31, /32, /127, /128. */
export function specialOf(subnet: Cidr): AddressRange[] {
  const { family } = subnet.address;
  const hostBits = (family === 4 ? 32 : 128) - subnet.prefix;
  if (hostBits < 2) return []; // RFC 3021, RFC 6164
  const ends = family === 4 ? [firstOf(subnet), lastOf(subnet)] : [firstOf(subnet)];
  return ends.map((value) => rangeOfAddress({ family, value }));
}

interface Outer {
  readonly subnet: Cidr;
  readonly first: bigint;
  readonly last: bigint;
}

/** The subnet and the ends that the range itself gives; a rule when it is none. */
function readOuter(text: string): Outer | string {
  const rule = 'must be a CIDR such as 10.1.0.0/16, or a range such as 10.1.0.10-10.1.0.20/16';
  const dash = text.indexOf('-');
  if (dash < 0) {
    const cidr = readCidr(text);
    return cidr === undefined ? rule : { subnet: subnetOf(cidr), first: firstOf(cidr), last: lastOf(cidr) };
  }
  const start = readAddress(text.slice(0, dash).trim());
  const end = readCidr(text.slice(dash + 1).trim());
  if (start === undefined || end === undefined) return rule;
  const subnet = subnetOf(end);
  if (!within(subnet, start)) return `must begin and end in one subnet, ${formatCidr(subnet)}`;
  if (start.value > end.address.value) return 'must not begin above its end';
  return { subnet, first: start.value, last: end.address.value };
}

function readHole(text: string): AddressRange | undefined {
  const cidr = readCidr(text);
  if (cidr !== undefined) return rangeOfCidr(cidr);
  const address = readAddress(text);
  return address === undefined ? undefined : rangeOfAddress(address);
}

/** The gateway that lies in the subnet, else one of the family: a link-local one lies in no subnet. */
function gatewayOf(subnet: Cidr, { gateways, firstIsGateway }: PoolContext): Address | undefined {
  const { family } = subnet.address;
  const ofFamily = gateways.filter((gateway) => gateway.family === family);
  const given = ofFamily.find((gateway) => within(subnet, gateway)) ?? ofFamily[0];
  if (given !== undefined || !firstIsGateway || specialOf(subnet).length === 0) return given;
  return { family, value: firstOf(subnet) + 1n };
}

const within = (subnet: Cidr, { family, value }: Address): boolean =>
  family === subnet.address.family && firstOf(subnet) <= value && value <= lastOf(subnet);

export const isUsable = (pool: Pool, address: Address): boolean =>
  pool.usable.some((range) => rangeContains(range, address));

/** How many addresses may be given. */
export const capacityOf = (pool: Pool): bigint => pool.usable.reduce((sum, range) => sum + sizeOf(range), 0n);

/** All addresses of a pool's usable intervals together, for the ends of a query. */
export function spanOf(pool: Pool): AddressRange {
  const family: Family = pool.subnet.address.family;
  return { family, first: pool.usable[0]?.first ?? 0n, last: pool.usable.at(-1)?.last ?? highest(family) };
}
