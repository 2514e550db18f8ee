// What Whereabouts has given, out of pools, slices and reservations, which may contradict each other. Pure.
import { type Address, bitsOf, formatAddress } from '../../../pkg/ip/address.ts';
import { cidrContains, formatCidr, readCidr, subnetOf } from '../../../pkg/ip/cidr.ts';
import { addressAt, meaningsOf, type NamedAddress, poolPrefix } from '../names.ts';
import type { TheirPool, TheirReservation, TheirSlicePool } from '../objects.ts';
import { isOurs } from '../our-reservation.ts';
import type { DefinitionFact } from './facts.ts';

/** One address that Whereabouts has given, and to whom, as its objects say. */
export interface Entry {
  /** Of a lease: network_name, with the subnet where ranges of this network do not overlap. */
  readonly domain: string;
  /** network_name. */
  readonly network: string;
  readonly address: Address;
  /** Canonical text; a single address where only a reservation is left. */
  readonly subnet: string;
  readonly podref: string;
  readonly ifname: string | undefined;
  readonly container: string | undefined;
  /** Of the node's slice. */
  readonly node: string | undefined;
  /** Where it was read, for people. */
  readonly source: string;
  readonly from: 'pool' | 'reservation';
}

/** Things that are wrong, by kind: each with a sentence. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly text: string;
}

export type ProblemKind =
  | 'unreadable'
  | 'double'
  | 'contradiction'
  | 'no reservation'
  | 'no pool entry'
  | 'cannot be mixed'
  | 'not on its pod';

export interface TheirObjects {
  readonly pools: readonly TheirPool[];
  readonly reservations: readonly TheirReservation[];
  readonly slices: readonly TheirSlicePool[];
  readonly definitions: readonly DefinitionFact[];
}

export interface Entries {
  readonly entries: readonly Entry[];
  readonly problems: readonly Problem[];
  /** Reservations that stand for claims of ours. */
  readonly ours: readonly TheirReservation[];
}

export function entriesOf(objects: TheirObjects): Entries {
  const problems: Problem[] = mixingProblems(objects.definitions);
  const fromPools = objects.pools.flatMap((pool) => poolEntries(pool, objects, problems));
  const theirs = objects.reservations.filter((one) => !isOurs(one));
  const byKey = Map.groupBy(fromPools, ({ network, address }) => keyOf({ network, address }));
  const fromReservations = theirs.flatMap((one) => reservationEntries(one, byKey, objects, problems));
  const reserved = new Set(theirs.flatMap(({ metadata }) => meaningsOf(metadata.name).map(keyOf)));
  for (const entry of fromPools)
    if (entry.domain === entry.network && !reserved.has(keyOf(entry)))
      problems.push({ kind: 'no reservation', text: `${describe(entry)} has no reservation` });
  return {
    entries: [...fromPools, ...fromReservations],
    problems,
    ours: objects.reservations.filter(isOurs),
  };
}

const keyOf = ({ network, address }: NamedAddress): string => `${network} ${formatAddress(address)}`;

export const describe = ({ address, podref, source }: Entry): string =>
  `${formatAddress(address)} of ${podref} (${source})`;

function poolEntries(pool: TheirPool, objects: TheirObjects, problems: Problem[]): Entry[] {
  const { name, namespace = '' } = pool.metadata;
  const source = `pool ${namespace}/${name}`;
  const range = readCidr(pool.spec.range);
  if (range === undefined) {
    problems.push({
      kind: 'unreadable',
      text: `the range of ${source} is none: ${JSON.stringify(pool.spec.range)}`,
    });
    return [];
  }
  const prefix = poolPrefix(name, pool.spec.range);
  if (prefix === undefined)
    problems.push({
      kind: 'unreadable',
      text: `the name of ${source} does not fit its range ${pool.spec.range}`,
    });
  const place = placeOf(prefix ?? '', formatCidr(subnetOf(range)), objects.slices);
  const domain = domainOf(place, objects.definitions);
  return Object.entries(pool.spec.allocations ?? {}).flatMap(([offset, { id, podref, ifname }]): Entry[] => {
    const address = addressAt(range, offset);
    if (address === undefined) {
      const text = `the offset ${JSON.stringify(offset)} of ${podref} in ${source} leads out of ${pool.spec.range}`;
      problems.push({ kind: 'unreadable', text });
      return [];
    }
    return [
      {
        ...place,
        domain,
        address,
        podref,
        ifname: ifname || undefined,
        container: id || undefined,
        source,
        from: 'pool',
      },
    ];
  });
}

interface Place {
  readonly network: string;
  readonly subnet: string;
  readonly node: string | undefined;
}

/** A slice belongs to the range that it was cut from: interfaces have the prefix length of that. */
function placeOf(prefix: string, subnet: string, slices: readonly TheirSlicePool[]): Place {
  for (const { spec, status } of slices) {
    const whole = readCidr(spec.range);
    for (const { nodeName, sliceRange } of status?.allocations ?? []) {
      const slice = readCidr(sliceRange);
      if (nodeName === '' || whole === undefined || slice === undefined) continue;
      if (formatCidr(subnetOf(slice)) !== subnet) continue;
      if (prefix !== nodeName && !prefix.endsWith(`-${nodeName}`)) continue;
      const network = prefix.slice(0, Math.max(0, prefix.length - nodeName.length - 1));
      return { network, subnet: formatCidr(subnetOf(whole)), node: nodeName };
    }
  }
  return { network: prefix, subnet, node: undefined };
}

/** One definition that lets ranges overlap makes its addresses unique in the whole network. */
function domainOf({ network, subnet }: Place, definitions: readonly DefinitionFact[]): string {
  const same = definitions.filter((one) => one.domain === network && one.subnet === subnet);
  return same.length > 0 && same.every(({ overlapping }) => !overlapping) ? `${network}@${subnet}` : network;
}

function reservationEntries(
  { metadata, spec }: TheirReservation,
  inPools: ReadonlyMap<string, readonly Entry[]>,
  objects: TheirObjects,
  problems: Problem[],
): Entry[] {
  const source = `reservation ${metadata.namespace ?? ''}/${metadata.name}`;
  const meanings = meaningsOf(metadata.name);
  const meant =
    meanings.find((one) => inPools.has(keyOf(one))) ??
    meanings.find((one) => subnetFor(one, objects) !== undefined) ??
    meanings.find(({ network }) => network === '') ??
    meanings[0];
  if (meant === undefined) {
    problems.push({ kind: 'unreadable', text: `the name of ${source} is that of no address` });
    return [];
  }
  const found = inPools.get(keyOf(meant)) ?? [];
  const entry: Entry = {
    ...{ ...meant, domain: meant.network, podref: spec.podref, ifname: spec.ifname || undefined },
    ...{ container: spec.containerid || undefined, node: undefined, source, from: 'reservation' },
    subnet: subnetFor(meant, objects) ?? `${formatAddress(meant.address)}/${bitsOf(meant.address.family)}`,
  };
  if (found.length === 0) {
    problems.push({ kind: 'no pool entry', text: `${describe(entry)} is in no pool` });
    return [entry];
  }
  const [other] = found.filter(({ podref }) => podref !== spec.podref);
  if (other === undefined) return [];
  problems.push({
    kind: 'contradiction',
    text: `${describe(entry)} is in the pool for another: ${describe(other)}`,
  });
  return [entry];
}

/** The narrowest known subnet of that network that has the address. */
function subnetFor(
  { network, address }: NamedAddress,
  { definitions, pools, slices }: TheirObjects,
): string | undefined {
  const known = [
    ...definitions.filter(({ domain }) => domain === network).map(({ subnet }) => subnet),
    ...pools
      .filter(({ metadata, spec }) => poolPrefix(metadata.name, spec.range) === network)
      .map(({ spec }) => spec.range),
    ...slices.filter(({ metadata }) => metadata.name === network).map(({ spec }) => spec.range),
  ];
  const [narrowest] = known
    .flatMap((text) => readCidr(text) ?? [])
    .filter((cidr) => cidrContains(cidr, address))
    .sort((a, b) => b.prefix - a.prefix);
  return narrowest === undefined ? undefined : formatCidr(subnetOf(narrowest));
}

function mixingProblems(definitions: readonly DefinitionFact[]): Problem[] {
  return definitions
    .filter(({ overlapping }) => !overlapping)
    .map(({ definition, subnet }) => ({
      kind: 'cannot be mixed',
      text: `definition ${definition} (${subnet}) has enable_overlapping_ranges false: Whereabouts would not see what Manifold gives; move all nodes over at once for it`,
    }));
}
