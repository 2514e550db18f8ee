// From the keys of a network configuration to what is to be given: one address from each set of ranges.
import * as v from 'valibot';
import { configError, problemsOf } from '../pkg/cni/config-error.ts';
import { manifoldOptions } from '../pkg/cni/manifold-options.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import type { CniDns, CniRoute } from '../pkg/cni/result.ts';
import { type Address, canonicalAddress, parseAddress, readAddress } from '../pkg/ip/address.ts';
import { type Cidr, formatCidr, parseCidr, readCidr, subnetOf } from '../pkg/ip/cidr.ts';
import { type Pool, type PoolContext, type PoolProblem, type PoolSpec, poolOf } from './pool.ts';
import { type IpamKeys, keysWithoutMeaning, type NetworkKeys, networkSchema } from './schema.ts';

/** More ranges than this in one configuration are a mistake: each is an address of every pod. */
const MOST_RANGES = 16;

export interface IpamConfig {
  /** One address is given from each set. The pools of a set are alternatives, in order. */
  readonly sets: readonly (readonly Pool[])[];
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
}

export interface FixedAddress {
  readonly domain: string;
  readonly cidr: Cidr;
  readonly gateway: Address | undefined;
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
  v.transform(({ manifold: { stateDir, runDir } }) => ({
    ...{ sets: [], fixed: [], gateways: [], requested: [], routes: [], dns: undefined, withoutMeaning: [] },
    ...{ stateDir, runDir },
  })),
);

/** For callers other than the frame of a CNI program. @throws ManifoldError 'bad-config' naming every bad key */
export function parseIpamConfig(raw: JsonObject): IpamConfig {
  const parsed = v.safeParse(ipamConfig, raw);
  if (!parsed.success) throw configError(problemsOf(parsed.issues));
  return parsed.output;
}

function configOf(keys: NetworkKeys, problems: PoolProblem[]): IpamConfig {
  const { ipam, runtimeConfig, args, manifold } = keys;
  const gateways = gatewaysOf(ipam, problems);
  const sets = specsOf(keys).map((specs) => specs.flatMap((spec) => pool(spec, ipam, gateways, problems)));
  const ranges = sets.flat();
  if (ranges.length > MOST_RANGES)
    problems.push({
      key: 'ipam',
      rule: `must not have more than ${MOST_RANGES} ranges`,
      value: ranges.length,
    });
  const fixed = fixedOf(ipam, ranges);
  if (sets.length === 0 && fixed.length === 0)
    problems.push({
      key: 'ipam',
      rule: 'must have a "range", "ipRanges", "ranges" or "addresses"',
      value: undefined,
    });
  return {
    sets,
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
  };
}

interface Spec extends PoolSpec {
  readonly gateway?: string | undefined;
  readonly firstIsGateway: boolean;
}

function pool(spec: Spec, ipam: IpamKeys, shared: readonly Address[], problems: PoolProblem[]): Pool[] {
  const context: PoolContext = {
    domain: ipam.network_name,
    domainPerSubnet: !ipam.enable_overlapping_ranges,
    // The range's own first: the first that fits is taken.
    gateways: [...(spec.gateway === undefined ? [] : [parseAddress(spec.gateway)]), ...shared],
    firstIsGateway: spec.firstIsGateway,
  };
  const found = poolOf(spec, context);
  if (!('rule' in found)) return [found];
  problems.push(found);
  return [];
}

/** All ranges in the order in which their addresses stand in the result; alternatives together. */
function specsOf({ ipam, runtimeConfig }: NetworkKeys): Spec[][] {
  const whereabouts = (entry: WhereaboutsRange, at: string): Spec => ({
    range: entry.range,
    start: entry.range_start,
    end: entry.range_end,
    exclude: entry.exclude,
    gateway: entry.gateway,
    keys: {
      range: `${at}.range`,
      start: `${at}.range_start`,
      end: `${at}.range_end`,
      exclude: `${at}.exclude`,
    },
    firstIsGateway: false,
  });
  const hostLocal = (entry: HostLocalRange, at: string): Spec => ({
    range: entry.subnet,
    start: entry.rangeStart,
    end: entry.rangeEnd,
    keys: { range: `${at}.subnet`, start: `${at}.rangeStart`, end: `${at}.rangeEnd`, exclude: at },
    gateway: entry.gateway,
    firstIsGateway: true,
  });
  const hostLocalSets = (sets: readonly (readonly HostLocalRange[])[] | undefined, at: string): Spec[][] =>
    (sets ?? []).map((set, i) => set.map((entry, j) => hostLocal(entry, `${at}[${i}][${j}]`)));

  const { range, subnet } = ipam;
  return [
    ...hostLocalSets(runtimeConfig?.ipRanges, 'runtimeConfig.ipRanges'),
    ...(range ? [[whereabouts({ ...ipam, range, gateway: undefined }, 'ipam')]] : []),
    ...(ipam.ipRanges ?? []).map((entry, i) => [whereabouts(entry, `ipam.ipRanges[${i}]`)]),
    // The shared gateways hold for it: host-local's legacy form has "gateway" beside "subnet".
    ...(subnet ? [[{ ...hostLocal({ ...ipam, subnet, gateway: undefined }, 'ipam') }]] : []),
    ...hostLocalSets(ipam.ranges, 'ipam.ranges'),
  ];
}

type WhereaboutsRange = Pick<IpamKeys, 'range_start' | 'range_end' | 'exclude'> & {
  readonly range: string;
  readonly gateway?: string | undefined;
};
type HostLocalRange = Pick<IpamKeys, 'rangeStart' | 'rangeEnd'> & {
  readonly subnet: string;
  readonly gateway?: string | undefined;
};

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

function fixedOf({ addresses, network_name }: IpamKeys, pools: readonly Pool[]): FixedAddress[] {
  return (addresses ?? []).map(({ address, gateway }) => {
    const cidr = parseCidr(address);
    // In the domain of the range that it lies in, so that the range does not give it to another.
    const near = pools.find(({ subnet }) => formatCidr(subnet) === formatCidr(subnetOf(cidr)));
    return {
      domain: near?.domain ?? network_name,
      cidr,
      gateway: gateway === undefined ? undefined : parseAddress(gateway),
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
