// The keys of a network configuration that manifold-ipam reads, and the form of each. What they mean together: config.ts.
import * as v from 'valibot';
import { absolutePath, flag, integerFrom, oneOf, text } from '../pkg/cni/fields.ts';
import { manifoldOptions } from '../pkg/cni/manifold-options.ts';
import { formatAddress, readAddress } from '../pkg/ip/address.ts';
import { readCidr } from '../pkg/ip/cidr.ts';
import { duration } from './duration.ts';

const address = () =>
  v.pipe(
    text(),
    v.check((s) => readAddress(s) !== undefined, 'must be an IP address'),
    v.check((s) => readAddress(s)?.value !== 0n, 'must be an address of a machine'),
  );
const cidr = () =>
  v.pipe(
    text(),
    v.check((s) => readCidr(s) !== undefined, 'must be an address with prefix length'),
  );
/** As runtimes and annotations write it, with or without prefix length. */
const requested = () =>
  v.pipe(
    text(),
    v.check((s) => (readAddress(s) ?? readCidr(s)) !== undefined, 'must be an IP address'),
  );
/** Generated configurations leave keys in with nothing in them. */
const maybeEmpty = () => v.optional(v.string('must be a string'));
const words = () => v.optional(list(v.string('must be a string')));
const list = <T extends v.GenericSchema>(item: T) => v.array(item, 'must be a list');
const uint32 = () => v.optional(integerFrom(0, 0xffffffff));

const POOL_RULE = 'must be the name of an IPPool';
const poolName = () =>
  v.pipe(
    v.string(POOL_RULE),
    v.check((s) => s.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(s), POOL_RULE),
  );

const route = v.pipe(
  v.object({
    dst: cidr(),
    gw: v.optional(address()),
    mtu: uint32(),
    advmss: uint32(),
    priority: uint32(),
    table: uint32(),
    scope: v.optional(integerFrom(0, 255)),
  }),
  v.check(
    ({ dst, gw }) => gw === undefined || gw.includes(':') === dst.includes(':'),
    'must have "dst" and "gw" of one family',
  ),
);

const whereaboutsRange = v.object({
  range: text(),
  range_start: maybeEmpty(),
  range_end: maybeEmpty(),
  exclude: words(),
  gateway: v.optional(address()),
});

const hostLocalRange = v.object({
  subnet: text(),
  rangeStart: maybeEmpty(),
  rangeEnd: maybeEmpty(),
  gateway: v.optional(address()),
});

/** host-local's: one address for each inner list, whose ranges are alternatives. */
const rangeSets = () => v.optional(list(v.pipe(list(hostLocalRange), v.nonEmpty('must not be empty'))));

const anything = v.optional(v.unknown());
/** Keys of Whereabouts and host-local that have no meaning here: accepted, and named in the log. */
const withoutMeaning = {
  datastore: anything,
  etcd_host: anything,
  etcd_username: anything,
  etcd_password: anything,
  etcd_key_file: anything,
  etcd_cert_file: anything,
  etcd_ca_cert_file: anything,
  leader_lease_duration: anything,
  leader_renew_deadline: anything,
  leader_retry_period: anything,
  log_file: anything,
  log_level: anything,
  node_slice_size: anything,
  reconciler_cron_expression: anything,
  sleep_for_race: anything,
  configuration_path: anything,
  optimistic_ipam: anything,
  dataDir: anything,
  resolvConf: anything,
};

/** The address alone; text that is none is refused elsewhere. */
const canonicalOf = (text: string): string => {
  const parsed = readCidr(text);
  return parsed === undefined ? text : formatAddress(parsed.address);
};

const ipam = v.object(
  {
    type: v.optional(v.string('must be a string')),
    range: maybeEmpty(),
    range_start: maybeEmpty(),
    range_end: maybeEmpty(),
    exclude: words(),
    ipRanges: v.optional(list(whereaboutsRange)),
    gateway: v.optional(
      v.union([v.literal(''), address(), list(address())], 'must be an IP address or a list of them'),
    ),
    routes: v.optional(list(route)),
    dns: v.optional(
      v.object({
        nameservers: words(),
        domain: v.optional(v.string('must be a string')),
        search: words(),
        options: words(),
      }),
    ),
    addresses: v.optional(
      v.pipe(
        list(v.object({ address: cidr(), gateway: v.optional(address()) })),
        v.check(
          (all) => new Set(all.map(({ address: text }) => canonicalOf(text))).size === all.length,
          'must not have an address twice',
        ),
      ),
    ),
    network_name: v.optional(v.string('must be a string'), ''),
    enable_overlapping_ranges: v.optional(flag(), true),
    subnet: maybeEmpty(),
    rangeStart: maybeEmpty(),
    rangeEnd: maybeEmpty(),
    ranges: rangeSets(),
    /** One address from each of these IPPools, in place of ranges. */
    pool: v.optional(
      v.union(
        [poolName(), v.pipe(list(poolName()), v.nonEmpty('must not be empty'))],
        `${POOL_RULE} or a list of them`,
      ),
    ),
    order: v.optional(oneOf(['lowest', 'spread'])),
    reuseDelay: duration(),
    sticky: duration(),
    /** Whereabouts': where the cluster is, when `manifold.kubeconfig` does not say. */
    kubernetes: v.optional(
      v.object({
        kubeconfig: v.optional(v.union([v.literal(''), absolutePath()], 'must be an absolute path')),
      }),
    ),
    ...withoutMeaning,
  },
  'must be an object',
);

export const networkSchema = v.object({
  ipam,
  runtimeConfig: v.optional(
    v.object({ ips: v.optional(list(requested())), ipRanges: rangeSets() }, 'must be an object'),
  ),
  args: v.optional(
    v.object(
      { cni: v.optional(v.object({ ips: v.optional(list(requested())) }, 'must be an object')) },
      'must be an object',
    ),
  ),
  manifold: manifoldOptions,
});

export type NetworkKeys = v.InferOutput<typeof networkSchema>;
export type IpamKeys = NetworkKeys['ipam'];

/** Those keys of the configuration that have no meaning here, or none without the range that they narrow. */
export function keysWithoutMeaning(keys: IpamKeys): string[] {
  const withoutRange = keys.range ? [] : (['range_start', 'range_end', 'exclude'] as const);
  const withoutSubnet = keys.subnet ? [] : (['rangeStart', 'rangeEnd'] as const);
  return [
    ...Object.keys(withoutMeaning).filter((name) => Object.hasOwn(keys, name)),
    ...[...withoutRange, ...withoutSubnet].filter((name) => keys[name]?.length),
  ];
}
