// WATCH: events from a resourceVersion on, over as many connections as it takes.
import type { Logger } from '../log/logger.ts';
import { type CallLimit, callLimit } from './call-limit.ts';
import type { RetryOptions } from './caller.ts';
import { renewalHint, wireHint, withoutToken } from './hints.ts';
import type { KubeAccess } from './kube-access.ts';
import type {
  KubeClient,
  KubeObject,
  KubeResource,
  Place,
  RawObject,
  Selection,
  WatchEvent,
} from './kube-client.ts';
import { KubeError } from './kube-error.ts';
import { linesOf } from './lines.ts';
import { pathOf, queryOf } from './resource-path.ts';
import type { ServerClock } from './server-clock.ts';
import { type Asked, reasonOf, retryAfterMs, statusError, statusOf } from './status.ts';
import { type Transport, WireError } from './transport.ts';

export interface WatchParts {
  readonly access: KubeAccess;
  readonly transport: Transport;
  readonly clock: ServerClock;
  readonly retry: RetryOptions;
  readonly log: Logger;
  readonly silenceMs: number;
  readonly askedFor: (verb: string, resource: KubeResource, place: Place) => Asked;
}

/** An API server that does not even send the head of its answer is asked again after this. */
const HEAD_MS = 30_000;
/** A connection that ended sooner, with nothing on it, counts as a failure. */
const TOO_SHORT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/** Why a connection ended that is worth another: the server's time for it is over, or something broke. */
class Ended extends Error {
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

export function createWatch(parts: WatchParts): KubeClient['watch'] {
  return <T extends KubeObject = RawObject>(
    resource: KubeResource,
    options: Selection & { readonly resourceVersion: string },
  ) => events<T>(parts, resource, options);
}

async function* events<T extends KubeObject>(
  parts: WatchParts,
  resource: KubeResource,
  options: Selection & { readonly resourceVersion: string },
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const { retry, log, access } = parts;
  const asked = parts.askedFor('watch', resource, options);
  const limit = callLimit(Number.POSITIVE_INFINITY, options.signal);
  let from = options.resourceVersion;
  let [failures, renewed] = [0, false];
  try {
    while (!limit.signal.aborted) {
      const began = performance.now();
      const token = access.token();
      let seen = 0;
      let end: Ended;
      try {
        for await (const event of connection<T>(
          parts,
          resource,
          { ...options, resourceVersion: from },
          asked,
          limit,
        )) {
          if (failures > 0) log.info('watch goes on', { resource: asked.resource });
          [seen, failures, renewed] = [seen + 1, 0, false];
          from =
            event.type === 'BOOKMARK'
              ? event.resourceVersion
              : (event.object.metadata.resourceVersion ?? from);
          yield event;
        }
        end = new Ended('the server ended it');
        if (seen > 0 || performance.now() - began > TOO_SHORT_MS) continue;
      } catch (error) {
        if (limit.signal.aborted) return;
        if (
          error instanceof KubeError &&
          error.reason === 'Unauthorized' &&
          !renewed &&
          access.renewToken(token)
        ) {
          renewed = true;
          continue;
        }
        if (!(error instanceof Ended)) throw error;
        end = error;
      }
      failures++;
      if (failures === 2)
        log.warn('watch broke off, and is tried again', { resource: asked.resource, why: end.message });
      const most = Math.min(LONGEST_WAIT_MS, retry.firstMs * 2 ** failures);
      await limit.sleep(end.waitMs ?? most / 2 + (Math.random() * most) / 2);
    }
  } finally {
    limit.end();
  }
}

/** The events of one connection. @throws Ended, or a KubeError that another connection would not mend */
async function* connection<T extends KubeObject>(
  { access, transport, clock, silenceMs }: WatchParts,
  resource: KubeResource,
  options: Selection & { readonly resourceVersion: string },
  asked: Asked,
  limit: CallLimit,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const { resourceVersion } = options;
  const query = queryOf(options, { watch: '1', allowWatchBookmarks: 'true', resourceVersion });
  const inner = new AbortController();
  const stop = () => inner.abort();
  limit.signal.addEventListener('abort', stop, { once: true });
  if (limit.signal.aborted) stop();
  let alarm = setTimeout(stop, HEAD_MS);
  try {
    const sentAt = performance.now();
    const path = pathOf(resource, options) + query;
    const head = await transport.stream({ method: 'GET', path, accept: 'application/json' }, inner.signal);
    clock.observe(head.date, sentAt, performance.now());
    if (head.status !== 200) throw await refusal(head, asked, access);
    const quiet = {
      waiting() {
        clearTimeout(alarm);
        alarm = setTimeout(stop, silenceMs);
      },
      // Nobody waits while the caller is busy with an event: that is no silence of the server.
      working: () => clearTimeout(alarm),
    };
    for await (const line of linesOf(head.chunks, quiet)) yield toEvent<T>(line, asked, resourceVersion);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (error.fault === 'aborted') throw new Ended('nothing came for too long');
    if (error.fault !== 'tls') throw new Ended(error.message);
    const { reason, hint } = wireHint(error, access);
    throw new KubeError(
      'Unreachable',
      `Cannot watch ${asked.object}: ${reason} (${asked.server}: ${error.message})`,
      { hint },
    );
  } finally {
    clearTimeout(alarm);
    limit.signal.removeEventListener('abort', stop);
    stop();
  }
}

/** The error of an answer that is no stream: an Ended where the same may succeed later. */
async function refusal(
  head: Awaited<ReturnType<Transport['stream']>>,
  asked: Asked,
  access: KubeAccess,
): Promise<Error> {
  const decoder = new TextDecoder();
  let body = '';
  for await (const chunk of head.chunks) body += decoder.decode(chunk, { stream: true });
  const error = statusError(
    asked,
    { status: head.status, body: withoutToken(body, access) },
    renewalHint(access),
  );
  return error.reason === 'TooManyRequests' || error.reason === 'ServerError'
    ? new Ended(error.message, retryAfterMs({ body, retryAfter: head.retryAfter }))
    : error;
}

function toEvent<T extends KubeObject>(line: string, asked: Asked, from: string): WatchEvent<T> {
  let parsed: { readonly type?: string; readonly object?: T };
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch (error) {
    // A line is never guessed at: what was seen before it stands, and the next connection brings it again.
    if (error instanceof SyntaxError) throw new Ended('a line of it is no JSON');
    throw error;
  }
  const { type, object } = parsed;
  if (type === 'ERROR') throw eventError(object, asked);
  if (object === undefined) throw new Ended(`an event without object (${type})`);
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object };
  if (type !== 'BOOKMARK') throw new Ended(`an event of unknown type (${type})`);
  const { resourceVersion = from } = object.metadata;
  // etcd was put back to an older state: what comes next would be waited for until the numbers are reached again.
  if (isLower(resourceVersion, from))
    throw expired(asked, `resourceVersion ${resourceVersion} follows ${from}`);
  return { type, resourceVersion };
}

function eventError(object: unknown, asked: Asked): Error {
  const status = statusOf(object);
  if (status === undefined) return new Ended('an error without words');
  const reason = reasonOf(status.code, status.reason);
  return reason === 'Expired' ? expired(asked, status.message) : new Ended(status.message);
}

const expired = (asked: Asked, why: string) =>
  new KubeError(
    'Expired',
    `Cannot watch ${asked.object}: what was seen last is too old (${asked.server}: ${why})`,
    {
      hint: 'List again, and watch from there.',
      status: 410,
    },
  );

/** Both are decimal numbers without leading zeros, which may be beyond 2^53. */
const isLower = (a: string, b: string): boolean => (a.length === b.length ? a < b : a.length < b.length);
