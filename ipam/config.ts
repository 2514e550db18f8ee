// From the keys of a network configuration to what is to be given: one address from each set of ranges.
import * as v from 'valibot';
import { configError, problemsOf } from '../pkg/cni/config-error.ts';
import { manifoldOptions } from '../pkg/cni/manifold-options.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { withReadableSettings } from '../pkg/cni/readable-settings.ts';
import type { CniDns, CniRoute } from '../pkg/cni/result.ts';
import { type Address, canonicalAddress, parseAddress, readAddress } from '../pkg/ip/address.ts';
import { type Cidr, cidrContains, formatCidr, parseCidr, readCidr, subnetOf } from '../pkg/ip/cidr.ts';
import { readDuration } from './duration.ts';
import { type LeaseTerms, type Pool, type PoolContext, type PoolProblem, poolOf } from './pool.ts';
import { type RangeSpec, rangeSpecs } from './range-specs.ts';
import { type IpamKeys, keysWithoutMeaning, type NetworkKeys, networkSchema } from './schema.ts';

/** More ranges than this in one configuration are a mistake: each is an address of every pod. */
const MOST_RANGES = 16;

export interface IpamConfig {
  /** One address is given from each set. The pools of a set are alternatives, in order. */
  readonly sets: readonly (readonly Pool[])[];
  /** Names of IPPools: each becomes a set once it has been read (pool-reference.ts). None beside ranges. */
  readonly pools: readonly string[];
  /** What the configuration itself says: it goes before what an IPPool says. */
  readonly terms: LeaseTerms;
  /** Given to every pod as they stand, and so to one pod at a time. */
  readonly fixed: readonly FixedAddress[];
  /** All that is never given. */
  readonly gateways: readonly Address[];
  /** Asked for by runtimeConfig.ips and args.cni.ips. */
  readonly requested: readonly Address[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns | undefined;
  /** Accepted, but nothing is done about them. */
  readonly withoutMeaning: readonly string[];
  readonly stateDir: string;
  readonly runDir: string;
  /** The cluster whose leases are asked for; undefined: those of this node's store. */
  readonly kubeconfig: string | undefined;
  /** What this node is called, where the configuration says so. */
  readonly nodeName: string | undefined;
  /** open: Whereabouts may run beside us in that cluster, and must see what we claim. */
  readonly whereabouts: 'open' | 'closed';
}

/** Where the leases of a configuration are. */
export type LeasePlace = Pick<IpamConfig, 'stateDir' | 'runDir' | 'kubeconfig' | 'nodeName' | 'whereabouts'>;

export interface FixedAddress {
  readonly domain: string;
  readonly cidr: Cidr;
  readonly gateway: Address | undefined;
  readonly terms: LeaseTerms;
}

/** The schema of the whole network configuration. */
export const ipamConfig: v.GenericSchema<unknown, IpamConfig> = v.pipe(
  networkSchema,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const problems: PoolProblem[] = [];
    const config = configOf(dataset.value, problems);
    // One step for the whole path: it is only ever printed.
    for (const { key, rule, value } of problems)
      addIssue({
        message: rule,
        input: value,
        path: [{ type: 'object', origin: 'value', input: {}, key, value }],
      });
    return problems.length === 0 ? config : NEVER;
  }),
);

/** What DEL needs when the ranges cannot be read any more: where the leases are. */
export const ipamDelConfig: v.GenericSchema<unknown, IpamConfig> = v.pipe(
  v.object({ manifold: manifoldOptions }),
  v.transform(({ manifold: { stateDir, runDir, kubeconfig, nodeName, whereabouts = 'closed' } }) => ({
    ...{ sets: [], pools: [], terms: {}, fixed: [], gateways: [], requested: [], routes: [], dns: undefined },
    ...{ withoutMeaning: [], stateDir, runDir, kubeconfig, nodeName, whereabouts },
  })),
);

/** For callers other than the frame of a CNI program. @throws ManifoldError 'bad-config' naming every bad key */
export function parseIpamConfig(raw: JsonObject): IpamConfig {
  const parsed = v.safeParse(ipamConfig, raw);
  if (!parsed.success) throw configError(problemsOf(parsed.issues));
  return parsed.output;
}

/** Where the leases of a configuration are, also when it cannot be read any more. */
export function leasePlaceOf(raw: JsonObject): LeasePlace {
  const whole = v.safeParse(ipamConfig, raw);
  return whole.success ? whole.output : v.parse(ipamDelConfig, withReadableSettings(raw, ipamDelConfig));
}

function configOf(keys: NetworkKeys, problems: PoolProblem[]): IpamConfig {
  const { ipam, runtimeConfig, args, manifold } = keys;
  const gateways = gatewaysOf(ipam, problems);
  const sets = rangeSpecs(keys).map((specs) => specs.flatMap((spec) => pool(spec, ipam, gateways, problems)));
  const ranges = sets.flat();
  if (ranges.length > MOST_RANGES)
    problems.push({
      key: 'ipam',
      rule: `must not have more than ${MOST_RANGES} ranges`,
      value: ranges.length,
    });
  const fixed = fixedOf(ipam, ranges);
  const pools = poolsOf(keys, problems);
  if (sets.length === 0 && fixed.length === 0 && pools.length === 0)
    problems.push({
      key: 'ipam',
      rule: 'must have a "range", "ipRanges", "ranges", "pool" or "addresses"',
      value: undefined,
    });
  return {
    sets,
    pools,
    terms: termsOf(ipam),
    fixed,
    gateways: [...gateways, ...ranges.flatMap(({ gateway }) => gateway ?? [])],
    requested: uniqueAddresses([...(runtimeConfig?.ips ?? []), ...(args?.cni?.ips ?? [])]),
    routes: (ipam.routes ?? []).map(({ dst, gw, ...rest }) => ({
      dst: formatCidr(subnetOf(parseCidr(dst))),
      ...(gw === undefined ? {} : { gw: canonicalAddress(gw) }),
      ...defined(rest),
    })),
    dns: ipam.dns === undefined ? undefined : defined(ipam.dns),
    withoutMeaning: keysWithoutMeaning(ipam),
    stateDir: manifold.stateDir,
    runDir: manifold.runDir,
    kubeconfig: kubeconfigOf(keys),
    nodeName: manifold.nodeName,
    whereabouts: manifold.whereabouts ?? 'closed',
  };
}

/** Whereabouts' key says it where ours does not. */
const kubeconfigOf = ({ ipam, manifold }: NetworkKeys): string | undefined =>
  manifold.kubeconfig ?? (ipam.kubernetes?.kubeconfig || undefined);

function termsOf({ order, reuseDelay, sticky }: IpamKeys): LeaseTerms {
  const reuseDelaySeconds = readDuration(reuseDelay ?? '');
  const stickySeconds = readDuration(sticky ?? '');
  return {
    ...(order !== undefined && { order }),
    ...(reuseDelaySeconds !== undefined && { reuseDelaySeconds }),
    ...(stickySeconds !== undefined && { stickySeconds }),
  };
}

/** An IPPool says all of this itself. */
const NOT_BESIDE_POOL = [
  ...(['range', 'range_start', 'range_end', 'exclude', 'ipRanges', 'gateway', 'addresses'] as const),
  ...(['network_name', 'subnet', 'rangeStart', 'rangeEnd', 'ranges'] as const),
];

function poolsOf(keys: NetworkKeys, problems: PoolProblem[]): string[] {
  const { ipam, runtimeConfig } = keys;
  if (ipam.pool === undefined) return [];
  for (const key of NOT_BESIDE_POOL)
    if (ipam[key]?.length)
      problems.push({ key: `ipam.${key}`, rule: 'must not stand beside "pool"', value: ipam[key] });
  if (runtimeConfig?.ipRanges?.length)
    problems.push({
      key: 'runtimeConfig.ipRanges',
      rule: 'must not stand beside "pool"',
      value: runtimeConfig.ipRanges,
    });
  if (kubeconfigOf(keys) === undefined)
    problems.push({
      key: 'ipam.pool',
      rule: 'must stand beside "manifold.kubeconfig", since IPPools are objects of a cluster',
      value: ipam.pool,
    });
  const names = typeof ipam.pool === 'string' ? [ipam.pool] : ipam.pool;
  if (names.length > MOST_RANGES)
    problems.push({
      key: 'ipam.pool',
      rule: `must not name more than ${MOST_RANGES} pools`,
      value: names.length,
    });
  return names;
}

function pool(spec: RangeSpec, ipam: IpamKeys, shared: readonly Address[], problems: PoolProblem[]): Pool[] {
  const context: PoolContext = {
    domain: ipam.network_name,
    domainPerSubnet: !ipam.enable_overlapping_ranges,
    // The range's own first: the first that fits is taken.
    gateways: [...(spec.gateway === undefined ? [] : [parseAddress(spec.gateway)]), ...shared],
    firstIsGateway: spec.firstIsGateway,
    terms: termsOf(ipam),
  };
  const found = poolOf(spec, context);
  if (!('rule' in found)) return [found];
  problems.push(found);
  return [];
}

/** `gateway`: one string as Whereabouts has it, or a list for dual stack: one of each family. */
function gatewaysOf({ gateway }: IpamKeys, problems: PoolProblem[]): Address[] {
  const texts = typeof gateway === 'string' ? [gateway].filter((one) => one !== '') : (gateway ?? []);
  const gateways = texts.map(parseAddress);
  for (const family of [4, 6] as const)
    if (gateways.filter((one) => one.family === family).length > 1)
      problems.push({
        key: 'ipam.gateway',
        rule: `must have one IPv${family} address at most`,
        value: gateway,
      });
  return gateways;
}

function fixedOf(ipam: IpamKeys, pools: readonly Pool[]): FixedAddress[] {
  return (ipam.addresses ?? []).map(({ address, gateway }) => {
    const cidr = parseCidr(address);
    // In the domain of the range that it lies in, so that the range does not give it to another.
    const near =
      pools.find(({ subnet }) => formatCidr(subnet) === formatCidr(subnetOf(cidr))) ??
      pools.find(({ subnet }) => cidrContains(subnet, cidr.address));
    return {
      domain: near?.domain ?? ipam.network_name,
      cidr,
      gateway: gateway === undefined ? undefined : parseAddress(gateway),
      terms: termsOf(ipam),
    };
  });
}

/** Addresses with or without prefix length; the prefix length of the range counts. */
export function uniqueAddresses(texts: readonly string[]): Address[] {
  const addresses = new Map<string, Address>();
  for (const text of texts) {
    const address = readAddress(text) ?? readCidr(text)?.address;
    if (address !== undefined) addresses.set(`${address.family} ${address.value}`, address);
  }
  return [...addresses.values()];
}

/** Without the keys that are undefined: the results are compared and printed. */
function defined<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
