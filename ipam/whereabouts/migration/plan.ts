// Which leases stand for what Whereabouts has given: held by the pod that lives, resting for long where none is known.
// Pure. Nothing is ever freed here.
import { formatAddress } from '../../../pkg/ip/address.ts';
import { type IpLease, type IpLeaseSpec, newIpLease, timeText } from '../../ip-lease.ts';
import { leaseName } from '../../lease-name.ts';
import { podOfRef } from '../their-holder.ts';
import { describe, type Entries, type Entry, type Problem } from './entries.ts';
import type { DefinitionFact, PodFact } from './facts.ts';

/** On leases that the migration has made: it may change them when it is run again. */
export const MIGRATED_LABEL = 'ipam.manifold.dev/migrated';

export interface PlanFacts {
  readonly found: Entries;
  readonly definitions: readonly DefinitionFact[];
  readonly pods: readonly PodFact[];
  readonly leases: readonly IpLease[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** How long what matches no pod is kept. */
  readonly restSeconds: number;
}

export type Action =
  | { readonly do: 'create'; readonly lease: IpLease }
  /** A lease of an earlier run, or one that rests: with its UID and resourceVersion. */
  | { readonly do: 'replace'; readonly lease: IpLease; readonly before: IpLeaseSpec }
  /** A lease of an earlier run whose allocation and pod are gone: it rests from now on. */
  | { readonly do: 'rest'; readonly lease: IpLease };

export interface MigrationPlan {
  readonly actions: readonly Action[];
  readonly problems: readonly Problem[];
  readonly counts: {
    readonly allocations: number;
    /** Of pods that live, and of none that is known. */
    readonly live: number;
    readonly orphaned: number;
    /** Have the right lease already. */
    readonly present: number;
    readonly ours: number;
  };
}

export function planMigration(facts: PlanFacts): MigrationPlan {
  const problems = [...facts.found.problems];
  const pods = new Map(facts.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  const leases = new Map(facts.leases.map((lease) => [lease.metadata.name, lease]));
  const byName = Map.groupBy(facts.found.entries, ({ domain, address }) => leaseName(domain, address));
  const actions: Action[] = [];
  let [live, present] = [0, 0];
  for (const [name, entries] of byName) {
    const owners = entries.map((entry) => ownerOf(entry, pods, problems));
    const holder = holderOf(owners, problems);
    if (holder === undefined) continue;
    if (holder.pod !== undefined) live++;
    const wanted = specOf(holder, facts);
    const step = stepFor(name, wanted, leases.get(name), facts, problems);
    if (step === 'present') present++;
    else if (step !== undefined) actions.push(step);
  }
  actions.push(...endings(facts, byName));
  const orphaned = byName.size - live;
  return {
    actions,
    problems,
    counts: { allocations: byName.size, live, orphaned, present, ours: facts.found.ours.length },
  };
}

interface Owner {
  readonly entry: Entry;
  /** Undefined where no pod is known to have it. */
  readonly pod: PodFact | undefined;
  readonly ifname: string | undefined;
  readonly network: string | undefined;
}

function ownerOf(entry: Entry, pods: ReadonlyMap<string, PodFact>, problems: Problem[]): Owner {
  const pod = pods.get(entry.podref);
  const none = { entry, pod: undefined, ifname: entry.ifname, network: undefined };
  if (pod === undefined || pod.isOver) return none;
  const { interfaces } = pod;
  // Not attached yet, or by a runtime that says nothing: its name is all there is to go by.
  if (interfaces === undefined) return { entry, pod, ifname: entry.ifname, network: undefined };
  const address = formatAddress(entry.address);
  const on = interfaces.find(({ addresses }) => addresses.includes(address));
  if (on !== undefined) return { entry, pod, ifname: entry.ifname ?? on.ifname, network: on.network };
  problems.push({ kind: 'not on its pod', text: `${describe(entry)}: that pod lives, without this address` });
  return none;
}

/** Where several say that they have it: one that lives; two that live are double. */
function holderOf(owners: readonly Owner[], problems: Problem[]): Owner | undefined {
  const living = owners.filter(({ pod }) => pod !== undefined);
  const [first, other] = distinct(living.length > 0 ? living : owners);
  if (first !== undefined && other !== undefined && living.length > 1)
    problems.push({
      kind: 'double',
      text: `${describe(first.entry)} is given twice: ${describe(other.entry)}`,
    });
  return first;
}

/** The first of each. */
function distinct(owners: readonly Owner[]): Owner[] {
  const seen = Map.groupBy(owners, ({ entry, ifname }) => `${entry.podref} ${ifname}`);
  return [...seen.values()].flatMap(([first]) => first ?? []);
}

/** Stands for what their objects do not say. */
const UNKNOWN = 'unknown';

function specOf(
  { entry, pod, ifname, network }: Owner,
  { definitions, now, restSeconds }: PlanFacts,
): IpLeaseSpec {
  const { namespace, name } = podOfRef(entry.podref);
  const container = entry.container ?? UNKNOWN;
  const held: IpLeaseSpec = {
    address: formatAddress(entry.address),
    subnet: entry.subnet,
    domain: entry.domain,
    network: networkName(entry, network, definitions),
    node: pod?.node ?? entry.node ?? UNKNOWN,
    phase: 'Held',
    owner: {
      ...{ podNamespace: namespace, podName: name, uid: pod?.uid || container },
      ...{ interface: ifname ?? UNKNOWN, containerID: container },
    },
    acquired: timeText(now),
    renewed: timeText(now),
  };
  return pod === undefined ? resting(held, now, restSeconds) : held;
}

/** A rest that is asked for: nobody gets it sooner. */
const resting = (spec: IpLeaseSpec, now: number, seconds: number): IpLeaseSpec => ({
  ...spec,
  ...{
    phase: 'Resting',
    released: timeText(now),
    until: timeText(now + seconds * 1000),
    reuseDelaySeconds: seconds,
  },
});

/** `name` of the configuration that gave it, as far as that can be found out. */
function networkName(
  { network, subnet }: Entry,
  status: string | undefined,
  definitions: readonly DefinitionFact[],
): string {
  const named = definitions.find(({ definition }) => definition === status);
  if (named !== undefined) return named.network;
  const fitting = definitions.filter((one) => one.domain === network && one.subnet === subnet);
  const names = new Set(fitting.map((one) => one.network));
  const [only] = names;
  if (names.size === 1 && only !== undefined) return only;
  return status?.slice(status.indexOf('/') + 1) || network || 'whereabouts';
}

function stepFor(
  name: string,
  wanted: IpLeaseSpec,
  found: IpLease | undefined,
  { pods }: PlanFacts,
  problems: Problem[],
): Action | 'present' | undefined {
  const labels = { [MIGRATED_LABEL]: 'true' };
  if (found === undefined) {
    const lease = newIpLease(name, wanted);
    return { do: 'create', lease: { ...lease, metadata: { name, labels } } };
  }
  const { spec, metadata } = found;
  const isMigrated = metadata.labels?.[MIGRATED_LABEL] !== undefined;
  const sameOwner = spec.owner.uid === wanted.owner.uid && spec.owner.interface === wanted.owner.interface;
  const sameContainer = spec.owner.containerID === wanted.owner.containerID;
  // A claim of ours for the same pod knows more than the objects of Whereabouts.
  if (sameOwner && spec.phase === wanted.phase && (sameContainer || !isMigrated)) return 'present';
  if (wanted.phase !== 'Held') return 'present';
  const holderLives = pods.some(({ uid, isOver }) => uid === spec.owner.uid && !isOver);
  if (spec.phase === 'Held' && !sameOwner && (holderLives || !isMigrated)) {
    const owner = `${spec.owner.podNamespace}/${spec.owner.podName}`;
    problems.push({
      kind: 'double',
      text: `${spec.address} is held by ${owner} on node ${spec.node} (lease ${name}), and given by Whereabouts to ${wanted.owner.podNamespace}/${wanted.owner.podName}`,
    });
    return undefined;
  }
  const labelled = { ...metadata, labels: { ...metadata.labels, ...labels } };
  return { do: 'replace', lease: { ...found, metadata: labelled, spec: wanted }, before: spec };
}

/** Leases of earlier runs that stand for nothing any more. */
function endings(
  { leases, pods, now, restSeconds }: PlanFacts,
  byName: ReadonlyMap<string, unknown>,
): Action[] {
  const living = new Set(pods.filter(({ isOver }) => !isOver).map(({ uid }) => uid));
  return leases
    .filter(({ metadata, spec }) => metadata.labels?.[MIGRATED_LABEL] !== undefined && spec.phase === 'Held')
    .filter(({ metadata, spec }) => !byName.has(metadata.name) && !living.has(spec.owner.uid))
    .map((lease) => ({ do: 'rest', lease: { ...lease, spec: resting(lease.spec, now, restSeconds) } }));
}
