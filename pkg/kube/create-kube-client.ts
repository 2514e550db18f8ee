// The client, put together.
import { type Logger, silentLogger } from '../log/logger.ts';
import { createCaller, type RetryOptions } from './caller.ts';
import { createCalls } from './calls.ts';
import { clusterIdentity } from './cluster-identity.ts';
import { createServes } from './discovery.ts';
import { createHttpsTransport } from './https-transport.ts';
import type { KubeAccess } from './kube-access.ts';
import type { KubeClient } from './kube-client.ts';
import { createList } from './lists.ts';
import { createServerClock } from './server-clock.ts';
import { createWatch } from './watch.ts';
import { createWrites } from './writes.ts';

export interface KubeClientOptions {
  readonly log?: Logger;
  /** @default 'manifold' */
  readonly userAgent?: string;
  /** For a call with all its repetitions; for a list, a page. @default 10000 */
  readonly timeoutMs?: number;
  readonly retry?: Partial<RetryOptions>;
  /** Calls at once; further ones wait for a connection. @default 4 */
  readonly connections?: number;
  /** Until a connection counts as failed; TLS on it may take three times as long. @default 3000 */
  readonly connectMs?: number;
  /** A watch on which nothing comes for so long is begun again. @default 150000 */
  readonly silenceMs?: number;
}

/** Reads no file and opens no connection before the first call. */
export function createKubeClient(access: KubeAccess, options: KubeClientOptions = {}): KubeClient {
  const { log = silentLogger, userAgent = 'manifold', timeoutMs = 10_000 } = options;
  const { connections = 4, connectMs = 3000, silenceMs = 150_000 } = options;
  const retry = { firstMs: 50, mostMs: 2000, ...options.retry };
  const transport = createHttpsTransport(access, { userAgent, connections, connectMs, log });
  const clock = createServerClock(
    () => Date.now(),
    () => performance.now(),
  );
  const caller = createCaller({ access, transport, clock, retry, log, random: () => Math.random() });
  const calls = createCalls({ caller, server: access.server, timeoutMs });
  return {
    get: (resource, name, place = {}) =>
      calls.limited(place, (limit) => calls.read(resource, name, place, limit)),
    list: createList(calls),
    ...createWrites(calls),
    watch: createWatch({ access, transport, clock, retry, log, silenceMs, askedFor: calls.askedFor }),
    serves: createServes(calls),
    cluster: async () => clusterIdentity(access),
    now: () => clock.now(),
    close: () => transport.dropIdle(),
  };
}
