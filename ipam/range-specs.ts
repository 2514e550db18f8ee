// The ranges of a network configuration, in the forms of Whereabouts and of host-local, as one list.
import type { PoolSpec } from './pool.ts';
import type { IpamKeys, NetworkKeys } from './schema.ts';

export interface RangeSpec extends PoolSpec {
  readonly gateway?: string | undefined;
  readonly firstIsGateway: boolean;
}

/** All ranges in the order in which their addresses stand in the result; alternatives together. */
export function rangeSpecs({ ipam, runtimeConfig }: NetworkKeys): RangeSpec[][] {
  const whereabouts = (entry: WhereaboutsRange, at: string): RangeSpec => ({
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
  const hostLocal = (entry: HostLocalRange, at: string): RangeSpec => ({
    range: entry.subnet,
    start: entry.rangeStart,
    end: entry.rangeEnd,
    keys: { range: `${at}.subnet`, start: `${at}.rangeStart`, end: `${at}.rangeEnd`, exclude: at },
    gateway: entry.gateway,
    firstIsGateway: true,
  });
  const hostLocalSets = (
    sets: readonly (readonly HostLocalRange[])[] | undefined,
    at: string,
  ): RangeSpec[][] =>
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
