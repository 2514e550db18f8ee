// One command at a time in the whole cluster: a coordination Lease that is renewed while the command runs. What a killed
// command leaves is taken over once it has been seen unchanged for as long as it lasts.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import {
  COORDINATION_LEASES,
  type CoordinationLease,
  type LeasePlace,
  microTime,
  newCoordinationLease,
  readCoordinationLease,
} from '../agent/coordination.ts';

export interface LockOptions extends LeasePlace {
  /** Said while another command holds it. */
  readonly aside: (line: string) => void;
  /** @default 15000 */
  readonly durationMs?: number;
}

const LOOK_MS = 500;

/**
 * Runs the work while nobody else holds the lock; its signal ends when the lock could not be kept.
 * @throws ManifoldError 'try-later' when another command holds it and goes on
 */
export async function withClusterLock<T>(
  client: KubeClient,
  options: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { durationMs = 15_000 } = options;
  let held = await acquire(client, options, durationMs);
  const lost = new AbortController();
  const ended = new AbortController();
  const keep = async (): Promise<void> => {
    let renewedMs = performance.now();
    for (;;) {
      await sleep(durationMs / 5, undefined, { signal: ended.signal, ref: false });
      const beganMs = performance.now();
      try {
        const spec = { ...held.spec, renewTime: microTime(client.now()) };
        held = await client.replace(COORDINATION_LEASES, { ...held, spec }, options);
        renewedMs = beganMs;
      } catch (error) {
        if (!isManifoldError(error)) throw error;
        const isAnothers = isKubeError(error, 'Conflict', 'NotFound');
        if (isAnothers || performance.now() - renewedMs > durationMs / 2) return lost.abort(error);
      }
    }
  };
  const keeping = keep().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error;
  });
  try {
    return await work(lost.signal);
  } finally {
    ended.abort();
    await keeping;
    const { uid = '', resourceVersion = '' } = held.metadata;
    // A lock that is another's by now stays.
    if (!lost.signal.aborted)
      await client.delete(COORDINATION_LEASES, options.name, {
        namespace: options.namespace,
        uid,
        resourceVersion,
      });
  }
}

interface Seen {
  readonly resourceVersion: string | undefined;
  readonly sinceMs: number;
  /** When any state of it was seen first. */
  readonly firstMs: number;
}

async function acquire(
  client: KubeClient,
  options: LockOptions,
  durationMs: number,
): Promise<CoordinationLease> {
  const { namespace, name, aside } = options;
  const holderIdentity = `${hostname()} ${randomUUID()}`;
  const specNow = () => {
    const now = microTime(client.now());
    return {
      holderIdentity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: now,
      renewTime: now,
    };
  };
  const isOurs = ({ spec }: CoordinationLease) => spec?.holderIdentity === holderIdentity;
  let seen: Seen | undefined;
  for (;;) {
    const found = await readCoordinationLease(client, { namespace, name }, AbortSignal.timeout(durationMs));
    const nowMs = performance.now();
    try {
      if (found === undefined) {
        const lease = newCoordinationLease({ namespace, name }, specNow());
        return await client.create(COORDINATION_LEASES, lease, { namespace, isOurs });
      }
      const { resourceVersion } = found.metadata;
      if (seen === undefined)
        aside(`Another command holds the lock ${namespace}/${name}: waiting whether it lives.`);
      const now: Seen =
        seen !== undefined && seen.resourceVersion === resourceVersion
          ? seen
          : { resourceVersion, sinceMs: nowMs, firstMs: seen?.firstMs ?? nowMs };
      seen = now;
      if (nowMs - now.sinceMs > durationMs)
        return await client.replace(COORDINATION_LEASES, { ...found, spec: specNow() }, { namespace });
      if (nowMs - now.firstMs > durationMs * 1.5) throw inUse(namespace, name, found);
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error;
    }
    await sleep(LOOK_MS);
  }
}

const inUse = (namespace: string, name: string, { spec }: CoordinationLease): ManifoldError =>
  new ManifoldError(
    'try-later',
    `Cannot begin: the same command runs already (${spec?.holderIdentity ?? 'nobody knows where'})`,
    {
      hint: `Wait for its end. It keeps the Lease ${namespace}/${name}, renewed at ${spec?.renewTime ?? 'no time'}.`,
    },
  );
