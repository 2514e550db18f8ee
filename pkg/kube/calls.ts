// What every verb of the client is made of: a call with its limit, its words, and reading one object.
import { type CallLimit, callLimit } from './call-limit.ts';
import type { Call, createCaller } from './caller.ts';
import type { KubeResource, Place } from './kube-client.ts';
import { ifFound } from './kube-error.ts';
import { nameOf, objectOf, pathOf } from './resource-path.ts';
import type { Asked } from './status.ts';

export const JSON_TYPE = 'application/json';

export interface Calls {
  readonly askedFor: (verb: string, resource: KubeResource, place: Place, name?: string) => Asked;
  /** Runs with the limit of one call. */
  limited<T>(place: Place, work: (limit: CallLimit) => Promise<T>): Promise<T>;
  ask<T>(call: Call): Promise<T>;
  /** @throws KubeError NotFound */
  read<T>(resource: KubeResource, name: string, place: Place, limit: CallLimit): Promise<T>;
  /** undefined: there is none. */
  find<T>(resource: KubeResource, name: string, place: Place, limit: CallLimit): Promise<T | undefined>;
}

export interface CallsParts {
  readonly caller: ReturnType<typeof createCaller>;
  readonly server: string;
  readonly timeoutMs: number;
}

export function createCalls({ caller, server, timeoutMs }: CallsParts): Calls {
  const askedFor: Calls['askedFor'] = (verb, resource, place, name) => ({
    verb,
    resource: nameOf(resource),
    object: objectOf(resource, place, name),
    server,
  });
  const ask = async <T>(call: Call): Promise<T> => (await caller.ask(call)) as T;
  const read = <T>(resource: KubeResource, name: string, place: Place, limit: CallLimit): Promise<T> =>
    ask<T>({
      request: { method: 'GET', path: pathOf(resource, place, name), accept: JSON_TYPE },
      asked: askedFor('get', resource, place, name),
      limit,
    });
  return {
    askedFor,
    ask,
    read,
    async limited(place, work) {
      const limit = callLimit(Math.min(timeoutMs, place.timeoutMs ?? timeoutMs), place.signal);
      try {
        return await work(limit);
      } finally {
        limit.end();
      }
    },
    find: <T>(resource: KubeResource, name: string, place: Place, limit: CallLimit) =>
      ifFound(read<T>(resource, name, place, limit)),
  };
}
