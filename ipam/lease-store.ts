// Where leases are kept, in the few verbs that the address manager needs. One store is the node's file; one that has
// no transactions (an object an address, whose creation is the claim) fits the same verbs. Types only.
import type { AttachmentId } from '../pkg/cni/plugin.ts';
import type { Address } from '../pkg/ip/address.ts';
import type { AddressRange } from '../pkg/ip/range.ts';
import type { PodRef } from '../pkg/state/node-store.ts';
import type { FixedAddress } from './config.ts';
import type { LeaseTerms, Pool } from './pool.ts';

/** Whose leases are meant: a container may be asked for one interface name by two networks, one of which is refused. */
export interface LeaseHolder extends AttachmentId {
  /** `name` of the network configuration. */
  readonly network: string;
}

/** What one attachment is to be given. */
export interface ClaimRequest extends LeaseHolder {
  /** Pod UID, or the container ID where there is none. */
  readonly owner: string;
  readonly pod: PodRef;
  readonly netns: string;
  readonly sets: readonly (readonly Pool[])[];
  readonly fixed: readonly FixedAddress[];
  readonly gateways: readonly Address[];
  /** Addresses that it must be given: each takes the place of one drawn from its set. */
  readonly requested: readonly Address[];
}

/** An address to be given, and where it comes from. */
export interface Grant {
  readonly domain: string;
  readonly address: Address;
  readonly prefix: number;
  readonly gateway: Address | undefined;
  readonly terms: LeaseTerms;
}

/** What the rules need to know of a lease, wherever it is kept. */
export interface KnownLease {
  readonly domain: string;
  /** Canonical text, no prefix length. */
  readonly address: string;
  readonly network: string;
  readonly owner: string;
  readonly ifname: string;
  readonly containerId: string;
  readonly pod: PodRef;
  /** Of whoever holds it; absent in a node's own store. */
  readonly node?: string;
  readonly state: 'claimed' | 'held' | 'resting';
  /** Milliseconds since the epoch. */
  readonly acquired: number;
  /** Of a resting one: before that it is given to nobody but its owner. 0: it is given whenever nothing else is free. */
  readonly until?: number;
}

/** What a choice may be made from. Addresses chosen before in the same claim are seen as taken. */
export interface LeaseView {
  get(domain: string, address: Address): KnownLease | undefined;
  /** All leases of the requesting owner, interface and network: resting ones, and those kept for its pod's name, too. */
  own(): readonly KnownLease[];
  /** An address of the pool that has no lease, not even a resting one: which, is a matter of the store's order. */
  nextFree(pool: Pool): bigint | undefined;
  /** The resting leases of the pool's span that may be given to this request now, in the order in which they should. */
  reusable(pool: Pool): Iterable<KnownLease>;
  /** True when a resting lease may be given to this request now, when it must be this one. */
  mayReuse(lease: KnownLease): boolean;
  /** True when nothing can be using the address any more although its claim was never finished nor released. */
  isAbandoned(lease: KnownLease): boolean;
  /** All leases of the range. Only asked when it is exhausted. */
  inRange(domain: string, range: AddressRange): readonly KnownLease[];
}

export interface LeaseStore {
  /**
   * Gives each request its addresses: all of all requests or none, and no address to two owners whatever other
   * processes do meanwhile. An owner that has addresses keeps them, also when nothing else is free; what it has
   * in these pools beyond what it is given rests, and what it has in others may be another plugin's of its list.
   * @param as 'claimed' until the attachment stands, 'held' at once where nobody would say so later
   * @returns for each request its addresses, in the order of its sets, fixed ones last
   * @throws ManifoldError 'no-address', 'address-held', 'bad-config' (what was requested may not be given), 'state';
   *   'try-later', 'api' where there is an API server
   */
  claim(requests: readonly ClaimRequest[], as: 'claimed' | 'held'): Promise<Grant[][]>;
  /** The attachment stands: its claimed leases are held. */
  markHeld(holder: LeaseHolder): Promise<void>;
  /**
   * Lets the leases of this container's interface on this network rest. What a newer container of the same owner holds stays.
   * None is no error. What cannot be ended now since an API server is away is ended later.
   */
  release(holder: LeaseHolder): Promise<void>;
  /** Lets all leases of a network rest but those of these attachments and those that an ADD under way has claimed. */
  releaseAllBut(network: string, valid: readonly AttachmentId[]): Promise<void>;
  /** The lease of an address, resting ones too. */
  get(domain: string, address: Address): Promise<KnownLease | undefined>;
  /** All leases of a container's interface on a network that do not rest. */
  ofAttachment(holder: LeaseHolder): Promise<KnownLease[]>;
  /** @throws ManifoldError when a claim for these sets could not be served now, saying why */
  ensureServing(network: string, sets: readonly (readonly Pool[])[], signal?: AbortSignal): Promise<void>;
}
