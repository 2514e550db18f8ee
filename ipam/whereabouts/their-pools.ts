// The IPPools of Whereabouts that an address may be in: that of its range, or the slices of the nodes.
import { type Address, parseAddress } from '../../pkg/ip/address.ts';
import { cidrContains, readCidr } from '../../pkg/ip/cidr.ts';
import { ifFound, isKubeError } from '../../pkg/kube/kube-error.ts';
import { addressAt, poolName } from './names.ts';
import { THEIR_POOLS, type TheirAllocation, type TheirPool } from './objects.ts';
import type { WhereaboutsDeps } from './reservation-client.ts';
import type { TheirHolder } from './their-holder.ts';

/** A range of a definition: its subnet in canonical text. */
export interface TheirRange {
  readonly subnet: string;
}

const NAMES_LAST_MS = 10_000;

export class TheirPools {
  readonly #deps: WhereaboutsDeps;
  #names: { readonly read: Promise<readonly string[]>; readonly sinceMs: number } | undefined;

  constructor(deps: WhereaboutsDeps) {
    this.#deps = deps;
  }

  /** Who has the address in a pool of that network and subnet. @throws KubeError */
  async holderOf(
    network: string,
    { subnet, address }: TheirRange & { readonly address: string },
    signal: AbortSignal,
  ): Promise<TheirHolder | undefined> {
    const wanted = parseAddress(address);
    const pools = await this.read(network, { subnet }, wanted, signal);
    for (const pool of pools)
      for (const { at, allocation } of allocationsOf(pool))
        if (at.value === wanted.value) return { ...allocation, container: allocation.id };
    return undefined;
  }

  /**
   * The pool of the whole subnet; where there is none, those of node slices in it.
   * @param within only slices that hold this address @throws KubeError
   */
  async read(
    network: string,
    { subnet }: TheirRange,
    within: Address | undefined,
    signal: AbortSignal,
  ): Promise<TheirPool[]> {
    const whole = await this.#get(poolName(network, subnet), signal);
    if (whole !== undefined) return [whole];
    const range = readCidr(subnet);
    const slices = (await this.#sliceNames(signal)).filter((name) => {
      const slice = sliceIn(network, name);
      if (slice === undefined || range === undefined) return false;
      return within === undefined ? cidrContains(range, slice.address) : cidrContains(slice, within);
    });
    const found = await Promise.all(slices.map((name) => this.#get(name, signal)));
    return found.filter((pool) => pool !== undefined);
  }

  async #get(name: string, signal: AbortSignal): Promise<TheirPool | undefined> {
    const namespace = await this.#deps.namespace();
    return ifFound(this.#deps.client.get<TheirPool>(THEIR_POOLS, name, { namespace, signal }));
  }

  /** Names alone, from what the API server has in memory; read again after a while, for the agent. */
  #sliceNames(signal: AbortSignal): Promise<readonly string[]> {
    const nowMs = performance.now();
    if (this.#names === undefined || nowMs - this.#names.sinceMs > NAMES_LAST_MS)
      this.#names = { read: this.#readNames(signal), sinceMs: nowMs };
    return this.#names.read;
  }

  async #readNames(signal: AbortSignal): Promise<readonly string[]> {
    try {
      const namespace = await this.#deps.namespace();
      const { items } = await this.#deps.client.list(THEIR_POOLS, {
        ...{ namespace, metadataOnly: true, resourceVersion: '0', signal },
      });
      return items.map(({ metadata }) => metadata.name);
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return [];
      throw error;
    }
  }
}

/** The range at the end of a slice's name, "net-worker-1-10.1.0.64-26": slices are IPv4 only. */
function sliceIn(network: string, name: string) {
  if (network !== '' && !name.startsWith(`${network}-`)) return undefined;
  const [, address, prefix] = /-(\d+\.\d+\.\d+\.\d+)-(\d+)$/.exec(name) ?? [];
  return readCidr(`${address}/${prefix}`);
}

export interface PlacedAllocation {
  readonly at: Address;
  readonly offset: string;
  readonly allocation: TheirAllocation;
}

/** Those that can be read; the others lead nowhere. */
export function allocationsOf({ spec }: TheirPool): PlacedAllocation[] {
  const range = readCidr(spec.range);
  if (range === undefined) return [];
  return Object.entries(spec.allocations ?? {}).flatMap(([offset, allocation]) => {
    const at = addressAt(range, offset);
    return at === undefined ? [] : [{ at, offset, allocation }];
  });
}
