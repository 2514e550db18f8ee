// Which of all agents does what one alone should do: the holder of a coordination Lease. Two at once, for a moment, do
// no harm: whatever they end is checked by UID and resourceVersion.
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import {
  COORDINATION_LEASES,
  type CoordinationLease,
  microTime,
  newCoordinationLease,
  readCoordinationLease,
} from './coordination.ts';
import { pause, spread } from './pause.ts';

export const RECLAIM_LEASE = 'manifold-reclaim';

/** What a holder asks for beyond this is not honoured: one mistake would keep all others from reclaiming for ever. */
const MOST_MS = 60_000;

/** For how long a Lease that does not change is its holder's. @param ownMs what we would ask for */
export const lastsMs = (leaseDurationSeconds: number | undefined, ownMs: number): number =>
  Math.max(Math.min((leaseDurationSeconds ?? 0) * 1000, MOST_MS), ownMs);

export interface LeadershipOptions {
  readonly namespace: string;
  readonly identity: string;
  readonly log: Logger;
  /** Of the Lease: who has not renewed it for so long may be followed. */
  readonly durationMs: number;
  readonly renewMs: number;
  /** How often one that does not hold it looks: seldom, since there may be ten thousand of them. */
  readonly lookMs: number;
  readonly onChange?: () => void;
}

interface Observed {
  readonly resourceVersion: string | undefined;
  /** By the own monotonic clock: clocks of machines are never compared. */
  readonly sinceMs: number;
}

export class Leadership {
  readonly #client: KubeClient;
  readonly #options: LeadershipOptions;
  #observed: Observed | undefined;
  #held: CoordinationLease | undefined;
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(client: KubeClient, options: LeadershipOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** True while nobody else can have followed: two thirds of the duration after the last renewal was begun. */
  get holds(): boolean {
    const { durationMs } = this.#options;
    return this.#held !== undefined && performance.now() - this.#renewedMs < (durationMs * 2) / 3;
  }

  /** Until the signal; then gives it back, for another to follow at once. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, renewMs, lookMs, onChange } = this.#options;
    let leads = false;
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (!isManifoldError(error)) throw error;
        log.warn('the reclaiming Lease cannot be kept, and is tried again', {
          reason: error.message,
          ...(error.hint !== undefined && { hint: error.hint }),
        });
      }
      if (this.holds !== leads) {
        leads = this.holds;
        log.info(leads ? 'this agent reclaims for all nodes' : 'another agent may reclaim for all nodes');
        onChange?.();
      }
      await pause(spread(this.#held === undefined ? lookMs : renewMs), signal);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { namespace, durationMs } = this.#options;
    const beganMs = performance.now();
    const found = this.#held ?? (await readCoordinationLease(this.#client, this.#place, signal));
    if (found === undefined) {
      await this.#create(beganMs, signal);
      return;
    }
    if (this.#held === undefined && !this.#isFree(found, beganMs)) return;
    const isOurs = found.spec?.holderIdentity === this.#options.identity;
    const now = microTime(this.#client.now());
    const spec = {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isOurs ? (found.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (found.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
    };
    try {
      // A renewal that takes longer than the Lease lasts is none.
      const timeoutMs = Math.max(500, (durationMs * 2) / 3 - 500);
      const renewed = await this.#client.replace(
        COORDINATION_LEASES,
        { ...found, spec },
        { namespace, signal, timeoutMs },
      );
      this.#hold(renewed, beganMs);
    } catch (error) {
      // Whatever became of it, it is read before it is written again.
      this.#held = undefined;
      if (!isKubeError(error, 'Conflict', 'NotFound')) throw error;
    }
  }

  /** Nobody's, this node's own of an earlier process, or not changed for as long as it lasts. */
  #isFree({ metadata, spec }: CoordinationLease, nowMs: number): boolean {
    const { resourceVersion } = metadata;
    if (this.#observed === undefined || this.#observed.resourceVersion !== resourceVersion)
      this.#observed = { resourceVersion, sinceMs: nowMs };
    const { holderIdentity, leaseDurationSeconds } = spec ?? {};
    if (!holderIdentity || holderIdentity === this.#options.identity) return true;
    return nowMs - this.#observed.sinceMs > lastsMs(leaseDurationSeconds, this.#options.durationMs);
  }

  async #create(beganMs: number, signal: AbortSignal): Promise<void> {
    const { namespace, identity, durationMs } = this.#options;
    const now = microTime(this.#client.now());
    const lease = newCoordinationLease(this.#place, {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 0,
    });
    try {
      const isOurs = ({ spec }: CoordinationLease) => spec?.holderIdentity === identity;
      this.#hold(
        await this.#client.create(COORDINATION_LEASES, lease, { namespace, signal, isOurs }),
        beganMs,
      );
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
  }

  #hold(lease: CoordinationLease, beganMs: number): void {
    this.#held = lease;
    this.#renewedMs = beganMs;
  }

  get #place(): { readonly namespace: string; readonly name: string } {
    return { namespace: this.#options.namespace, name: RECLAIM_LEASE };
  }

  /** Lets another follow at once. Nothing depends on it. */
  async release(signal: AbortSignal): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1 };
    try {
      const { namespace } = this.#options;
      await this.#client.replace(COORDINATION_LEASES, { ...held, spec }, { namespace, signal });
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      this.#options.log.info('the reclaiming Lease was not given back', { reason: error.message });
    }
  }
}
