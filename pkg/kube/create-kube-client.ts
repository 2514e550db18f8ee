// The client: each verb as its request, and what becomes of a write whose answer was lost.
import { type Logger, silentLogger } from '../log/logger.ts';
import { type CallLimit, callLimit } from './call-limit.ts';
import { type Call, createCaller, type RetryOptions, type Settled } from './caller.ts';
import { createHttpsTransport } from './https-transport.ts';
import type { KubeAccess } from './kube-access.ts';
import type {
  KubeClient,
  KubeList,
  KubeObject,
  KubeResource,
  ListOptions,
  Place,
  Preconditions,
} from './kube-client.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { nameOf, objectOf, pathOf, queryOf } from './resource-path.ts';
import { createServerClock } from './server-clock.ts';
import { isAsSent, isPatched } from './settle.ts';
import type { Asked } from './status.ts';
import type { WireRequest } from './transport.ts';
import { createWatch } from './watch.ts';

export interface KubeClientOptions {
  readonly log?: Logger;
  /** @default 'manifold' */
  readonly userAgent?: string;
  /** For a call with all its repetitions; for a list, a page. @default 10000 */
  readonly timeoutMs?: number;
  readonly retry?: Partial<RetryOptions>;
  /** Calls at once; further ones wait for a connection. @default 4 */
  readonly connections?: number;
  /** Until a connection counts as failed, TLS included. @default 3000 */
  readonly connectMs?: number;
  /** A watch on which nothing comes for so long is begun again. @default 150000 */
  readonly silenceMs?: number;
}

const JSON_TYPE = 'application/json';
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json';

/** Reads no file and opens no connection before the first call. */
export function createKubeClient(access: KubeAccess, options: KubeClientOptions = {}): KubeClient {
  const {
    log = silentLogger,
    userAgent = 'manifold',
    timeoutMs = 10_000,
    connections = 4,
    connectMs = 3000,
  } = options;
  const retry = { firstMs: 50, mostMs: 2000, ...options.retry };
  const transport = createHttpsTransport(access, { userAgent, connections, connectMs, log });
  const clock = createServerClock(
    () => Date.now(),
    () => performance.now(),
  );
  const caller = createCaller({ access, transport, clock, retry, log, random: Math.random });

  const askedFor = (verb: string, resource: KubeResource, place: Place, name?: string): Asked => ({
    verb,
    resource: nameOf(resource),
    object: objectOf(resource, place, name),
    server: access.server,
  });

  /** One call with a limit of its own, handed to what settles it. */
  async function limited<T>(place: Place, work: (limit: CallLimit) => Promise<T>): Promise<T> {
    const limit = callLimit(Math.min(timeoutMs, place.timeoutMs ?? timeoutMs), place.signal);
    try {
      return await work(limit);
    } finally {
      limit.end();
    }
  }

  const ask = async <T>(call: Call): Promise<T> => (await caller.ask(call)) as T;

  const read = <T>(resource: KubeResource, name: string, place: Place, limit: CallLimit): Promise<T> =>
    ask<T>({
      request: { method: 'GET', path: pathOf(resource, place, name), accept: JSON_TYPE },
      asked: askedFor('get', resource, place, name),
      limit,
    });

  /** undefined: there is none. */
  async function find<T>(
    resource: KubeResource,
    name: string,
    place: Place,
    limit: CallLimit,
  ): Promise<T | undefined> {
    try {
      return await read<T>(resource, name, place, limit);
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async function page<T>(
    resource: KubeResource,
    options: ListOptions,
    limit: string | undefined,
    token: string,
  ) {
    const { resourceVersion, metadataOnly = false } = options;
    const query = queryOf(options, {
      resourceVersion: token === '' ? resourceVersion : undefined,
      limit,
      continue: token,
    });
    const request: WireRequest = {
      method: 'GET',
      path: pathOf(resource, options) + query,
      accept: metadataOnly ? METADATA_ONLY : JSON_TYPE,
    };
    const asked = askedFor('list', resource, options);
    const answer = await limited(options, (limit) => ask<Page<T>>({ request, asked, limit }));
    return { items: answer.items ?? [], ...answer.metadata };
  }

  return {
    get: (resource, name, place = {}) => limited(place, (limit) => read(resource, name, place, limit)),

    async list<T extends KubeObject>(
      resource: KubeResource,
      options: ListOptions = {},
    ): Promise<KubeList<T>> {
      const pageSize = options.pageSize ?? (options.resourceVersion === '0' ? undefined : 500);
      for (let restarts = 0; ; restarts++) {
        // A list that keeps expiring on its way is taken whole.
        const size = restarts < 2 ? pageSize?.toString() : undefined;
        try {
          const items: T[] = [];
          let token = '';
          for (;;) {
            const got = await page<T>(resource, options, size, token);
            for (const item of got.items) items.push(item);
            if (!got.continue) return { resourceVersion: got.resourceVersion ?? '', items };
            token = got.continue;
          }
        } catch (error) {
          if (!isKubeError(error, 'Expired') || restarts >= 2) throw error;
        }
      }
    },

    create: (resource, object, options) =>
      limited(options, (limit) => {
        const { name } = object.metadata;
        return ask({
          request: {
            method: 'POST',
            path: pathOf(resource, options),
            accept: JSON_TYPE,
            contentType: JSON_TYPE,
            body: JSON.stringify(object),
          },
          asked: askedFor('create', resource, options, name),
          limit,
          async settle(refused) {
            const found = await find<typeof object>(resource, name, options, limit);
            if (found === undefined) return 'again';
            if (options.isOurs(found)) return { done: found };
            throw refused ?? anothers(askedFor('create', resource, options, name));
          },
        });
      }),

    replace: (resource, object, place = {}) =>
      limited(place, (limit) => {
        const { name, resourceVersion } = object.metadata;
        const asked = askedFor('update', resource, place, name);
        return ask({
          request: {
            method: 'PUT',
            path: pathOf(resource, place, name),
            accept: JSON_TYPE,
            contentType: JSON_TYPE,
            body: JSON.stringify(object),
          },
          asked,
          limit,
          async settle(refused): Promise<Settled> {
            const found = await read<typeof object>(resource, name, place, limit);
            if (found.metadata.resourceVersion === resourceVersion) return 'again';
            if (isAsSent(object, found)) return { done: found };
            throw refused ?? changed(asked);
          },
        });
      }),

    patch: (resource, name, patch, options = {}) =>
      limited(options, (limit) => {
        const { uid, resourceVersion, subresource } = options;
        const asked = askedFor('patch', resource, options, name);
        const metadata = {
          ...(uid !== undefined && { uid }),
          ...(resourceVersion !== undefined && { resourceVersion }),
        };
        const given = typeof patch.metadata === 'object' && patch.metadata !== null ? patch.metadata : {};
        return ask({
          request: {
            method: 'PATCH',
            path: pathOf(resource, options, name, subresource),
            accept: JSON_TYPE,
            contentType: 'application/merge-patch+json',
            body: JSON.stringify({ ...patch, metadata: { ...given, ...metadata } }),
          },
          asked,
          limit,
          async settle(refused): Promise<Settled> {
            // Without a resourceVersion it may be sent twice: the same patch again changes nothing.
            if (resourceVersion === undefined && refused === undefined) return 'again';
            const found = await read<KubeObject>(resource, name, options, limit);
            if (uid !== undefined && found.metadata.uid !== uid) throw refused ?? changed(asked);
            if (found.metadata.resourceVersion === resourceVersion) return 'again';
            if (isPatched(patch, found)) return { done: found };
            throw refused ?? changed(asked);
          },
        });
      }),

    delete: (resource, name, options = {}) =>
      limited(options, async (limit) => {
        const asked = askedFor('delete', resource, options, name);
        const settle = (refused: KubeError | undefined) =>
          settleDelete(resource, name, options, limit, refused);
        const { uid, resourceVersion } = options;
        const preconditions = {
          ...(uid !== undefined && { uid }),
          ...(resourceVersion !== undefined && { resourceVersion }),
        };
        const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
        const request: WireRequest = {
          method: 'DELETE',
          path: pathOf(resource, options, name),
          accept: JSON_TYPE,
          contentType: JSON_TYPE,
          body: JSON.stringify(body),
        };
        try {
          const settled = await ask<unknown>({ request, asked, limit, settle });
          return settled === GONE ? 'gone' : 'deleted';
        } catch (error) {
          if (isKubeError(error, 'NotFound')) return 'gone';
          if (!isKubeError(error, 'Conflict') || uid === undefined) throw error;
          // The answer does not say in a field which of the two preconditions failed.
          const found = await find<KubeObject>(resource, name, options, limit);
          if (found === undefined || found.metadata.uid !== uid) return 'gone';
          throw error;
        }
      }),

    watch: createWatch({
      access,
      transport,
      clock,
      retry,
      log,
      silenceMs: options.silenceMs ?? 150_000,
      askedFor,
    }),
    now: () => clock.now(),
    close: () => transport.dropIdle(),
  };

  async function settleDelete(
    resource: KubeResource,
    name: string,
    options: Place & Preconditions,
    limit: CallLimit,
    refused: KubeError | undefined,
  ): Promise<Settled> {
    if (refused?.reason === 'NotFound') return { done: DELETED };
    const found = await find<KubeObject>(resource, name, options, limit);
    if (found === undefined) return { done: DELETED };
    const { uid, resourceVersion, deletionTimestamp } = found.metadata;
    if (options.uid !== undefined && uid !== options.uid) return { done: DELETED };
    if (deletionTimestamp !== undefined && options.uid !== undefined) return { done: DELETED };
    if (options.resourceVersion !== undefined && resourceVersion !== options.resourceVersion)
      throw refused ?? changed(askedFor('delete', resource, options, name));
    return 'again';
  }
}

const DELETED = 'deleted';
const GONE = 'gone';

interface Page<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[];
}

const anothers = (asked: Asked) =>
  new KubeError(
    'AlreadyExists',
    `Cannot ${asked.verb} ${asked.object}: it is there already, and another's (${asked.server})`,
    {
      status: 409,
    },
  );

const changed = (asked: Asked) =>
  new KubeError(
    'Conflict',
    `Cannot ${asked.verb} ${asked.object}: it has changed meanwhile (${asked.server})`,
    {
      hint: 'Read it again and decide anew.',
      status: 409,
    },
  );
