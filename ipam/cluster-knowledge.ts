// What one claim has learnt of the cluster's leases: by lists, and by answers that an address is taken. It reads no
// more than the claim turns out to need.
import type { Address } from '../pkg/ip/address.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { rangeContains } from '../pkg/ip/range.ts';
import type { KubeClient, ListOptions } from '../pkg/kube/kube-client.ts';
import type { ClusterDeps, Reservations } from './cluster-deps.ts';
import { IP_LEASES, type IpLease } from './ip-lease.ts';
import { addressOfName } from './lease-name.ts';
import { type Pool, spanOf } from './pool.ts';

/** How much of a range has been read; each step costs more. */
export const LEVEL = { nothing: 0, names: 1, namesOfDomain: 2, leases: 3, leasesOfDomain: 4 } as const;
export type Level = (typeof LEVEL)[keyof typeof LEVEL];

interface Taken {
  readonly address: Address;
  /** The list that named it; undefined when an answer to a claim did. */
  readonly list: string | undefined;
}

interface RangeState {
  level: Level;
  /** Addresses of the range that were taken when they were asked for: ever, and since the last list. */
  conflicts: number;
  conflictsSince: number;
  /** The last list lacked an address that was taken: it may have been given from another subnet. */
  missed: boolean;
}

export class ClusterKnowledge {
  /** True once what is kept for the pod's name has been read. */
  keptRead = false;
  readonly #client: KubeClient;
  readonly #reservations: Reservations | undefined;
  readonly #leases = new Map<string, IpLease>();
  readonly #taken = new Map<string, Map<string, Taken>>();
  readonly #ranges = new Map<string, RangeState>();

  constructor({ client, reservations }: Pick<ClusterDeps, 'client' | 'reservations'>) {
    this.#client = client;
    this.#reservations = reservations;
  }

  lease(name: string): IpLease | undefined {
    return this.#leases.get(name);
  }

  leases(): Iterable<IpLease> {
    return this.#leases.values();
  }

  isTaken(domain: string, name: string): boolean {
    return this.#leases.has(name) || this.#takenIn(domain).has(name);
  }

  /** Numbers of the addresses of the pool's domain and family that are known to be taken. */
  takenIn(pool: Pool): bigint[] {
    const { family } = pool.subnet.address;
    return [...this.#takenIn(pool.domain).values()]
      .filter(({ address }) => address.family === family)
      .map(({ address }) => address.value);
  }

  stateOf(pool: Pool): Readonly<RangeState> {
    return this.#range(pool);
  }

  /** An address was asked for and is taken. @param pool that it was drawn from @param by what was read of it */
  refused(domain: string, name: string, pool: Pool | undefined, by: IpLease | undefined): void {
    const address = addressOfName(domain, name);
    if (address !== undefined) this.#takenIn(domain).set(name, { address, list: undefined });
    if (by !== undefined) this.#leases.set(name, by);
    if (pool === undefined) return;
    const range = this.#range(pool);
    range.conflicts++;
    range.conflictsSince++;
  }

  /** All is read anew from here on. */
  forget(): void {
    this.#leases.clear();
    this.#taken.clear();
    for (const range of this.#ranges.values()) {
      range.level = LEVEL.nothing;
      range.conflictsSince = 0;
    }
  }

  /** @throws KubeError */
  async read(pool: Pool, level: Level, signal: AbortSignal): Promise<void> {
    const whole = level === LEVEL.namesOfDomain || level === LEVEL.leasesOfDomain;
    const withLeases = level >= LEVEL.leases;
    const list = whole ? '' : formatCidr(pool.subnet);
    const { items } = await this.#client.list<IpLease>(IP_LEASES, {
      signal,
      fieldSelector: selector({
        'spec.domain': pool.domain,
        ...(whole ? {} : { 'spec.subnet': list }),
      }),
      ...(withLeases ? {} : FROM_MEMORY),
    });
    const names = this.#takenIn(pool.domain);
    // What was refused before a list of all that is newest, and is not in it, is free by now.
    for (const [name, taken] of names)
      if (whole ? withLeases || taken.list !== undefined : taken.list === list) {
        names.delete(name);
        this.#leases.delete(name);
      }
    for (const item of items) {
      const { name } = item.metadata;
      const address = addressOfName(pool.domain, name);
      if (address === undefined) continue;
      names.set(name, { address, list });
      if (withLeases) this.#leases.set(name, item);
    }
    for (const theirs of (await this.#reservations?.taken(pool.domain, signal)) ?? []) {
      const { name } = theirs.metadata;
      const address = addressOfName(pool.domain, name);
      if (address === undefined || names.has(name)) continue;
      names.set(name, { address, list });
      this.#leases.set(name, theirs);
    }
    const range = this.#range(pool);
    range.level = level;
    range.conflictsSince = 0;
    const span = spanOf(pool);
    range.missed = names
      .values()
      .some(({ address, list: by }) => by === undefined && rangeContains(span, address));
  }

  /** What is kept for the pods of a StatefulSet. @throws KubeError */
  async readKept(
    pod: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { items } = await this.#client.list<IpLease>(IP_LEASES, {
      signal,
      fieldSelector: selector({
        'spec.owner.podNamespace': pod.namespace,
        'spec.owner.podName': pod.name,
        'spec.phase': 'Sticky',
      }),
    });
    for (const item of items) {
      const { domain } = item.spec;
      const address = addressOfName(domain, item.metadata.name);
      if (address === undefined) continue;
      this.#leases.set(item.metadata.name, item);
      this.#takenIn(domain).set(item.metadata.name, { address, list: 'kept' });
    }
    this.keptRead = true;
  }

  #takenIn(domain: string): Map<string, Taken> {
    const known = this.#taken.get(domain) ?? new Map<string, Taken>();
    this.#taken.set(domain, known);
    return known;
  }

  #range(pool: Pool): RangeState {
    const key = rangeKey(pool);
    const known = this.#ranges.get(key) ?? {
      level: LEVEL.nothing,
      conflicts: 0,
      conflictsSince: 0,
      missed: false,
    };
    this.#ranges.set(key, known);
    return known;
  }
}

/** Pools of one subnet share what was read of it. */
export const rangeKey = (pool: Pool): string => `${formatCidr(pool.subnet)} ${pool.domain}`;

/** From the API server's memory, at no cost to etcd; names alone. The claim itself decides, however old this is. */
const FROM_MEMORY: ListOptions = { metadataOnly: true, resourceVersion: '0' };

/** "\", "," and "=" are escaped (k8s.io/apimachinery fields.EscapeValue). */
const selector = (fields: Readonly<Record<string, string>>): string =>
  Object.entries(fields)
    .map(([field, value]) => `${field}=${value.replaceAll(/[\\,=]/g, '\\$&')}`)
    .join(',');
