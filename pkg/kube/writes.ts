// The writes of the client: each as its request, and how it is settled when its answer was lost.
import type { JsonObject } from '../cni/plugin.ts';
import type { CallLimit } from './call-limit.ts';
import type { Settled } from './caller.ts';
import { type Calls, JSON_TYPE } from './calls.ts';
import type { KubeClient, KubeObject, KubeResource, Place, Preconditions, RawObject } from './kube-client.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { pathOf } from './resource-path.ts';
import { isAsSent, isPatched } from './settle.ts';
import type { Asked } from './status.ts';
import type { WireRequest } from './transport.ts';

type PatchOptions = Place & Preconditions & { readonly subresource?: string };
type Writes = Pick<KubeClient, 'create' | 'replace' | 'patch' | 'delete'>;

export function createWrites(calls: Calls): Writes {
  const { askedFor, ask, find, limited, read } = calls;
  return {
    create: (resource, object, options) =>
      limited(options, (limit) => {
        const { name } = object.metadata;
        const asked = askedFor('create', resource, options, name);
        return ask({
          request: write('POST', pathOf(resource, options), object),
          asked,
          limit,
          async settle(refused) {
            const found = await find<typeof object>(resource, name, options, limit);
            if (found === undefined) return 'again';
            if (options.isOurs(found)) return { done: found };
            throw refused ?? anothers(asked);
          },
        });
      }),

    replace: (resource, object, place = {}) =>
      limited(place, (limit) => {
        const { name, resourceVersion } = object.metadata;
        const asked = askedFor('update', resource, place, name);
        return ask({
          request: write('PUT', pathOf(resource, place, name), object),
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

    patch: <T extends KubeObject = RawObject>(
      resource: KubeResource,
      name: string,
      patch: JsonObject,
      options: PatchOptions = {},
    ) =>
      limited(options, (limit) => {
        const { uid, resourceVersion, subresource } = options;
        const asked = askedFor('patch', resource, options, name);
        const { metadata } = patch;
        const given = typeof metadata === 'object' && metadata !== null ? metadata : {};
        const body = { ...patch, metadata: { ...given, ...preconditionsOf(options) } };
        const patching = ask<T>({
          request: write('PATCH', pathOf(resource, options, name, subresource), body),
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
        return patching.catch((error: unknown) => {
          // A UID that differs is a field that cannot be changed to the API server, and a precondition to us.
          const isUid =
            uid !== undefined && isKubeError(error, 'Invalid') && / metadata\.uid: /.test(error.message);
          throw isUid ? changed(asked) : error;
        });
      }),

    delete: (resource, name, options = {}) =>
      limited(options, async (limit) => {
        const preconditions = preconditionsOf(options);
        const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
        const asked = askedFor('delete', resource, options, name);
        try {
          await ask<unknown>({
            request: write('DELETE', pathOf(resource, options, name), body),
            asked,
            limit,
            settle: (refused) => settleDelete(calls, { resource, name, options, limit, asked, refused }),
          });
          return 'deleted';
        } catch (error) {
          if (isKubeError(error, 'NotFound')) return 'gone';
          if (!isKubeError(error, 'Conflict') || options.uid === undefined) throw error;
          // The answer does not say in a field which of the two preconditions failed.
          const found = await find<KubeObject>(resource, name, options, limit);
          if (found === undefined || found.metadata.uid !== options.uid) return 'gone';
          throw error;
        }
      }),
  };
}

interface Deletion {
  readonly resource: KubeResource;
  readonly name: string;
  readonly options: Place & Preconditions;
  readonly limit: CallLimit;
  readonly asked: Asked;
  readonly refused: KubeError | undefined;
}

async function settleDelete(calls: Calls, deletion: Deletion): Promise<Settled> {
  const { resource, name, options, limit, asked, refused } = deletion;
  const done = { done: undefined };
  if (refused?.reason === 'NotFound') return done;
  const found = await calls.find<KubeObject>(resource, name, options, limit);
  if (found === undefined) return done;
  const { uid, resourceVersion, deletionTimestamp } = found.metadata;
  if (options.uid !== undefined && uid !== options.uid) return done;
  // A finalizer keeps it, or its grace period: that it is to go has been written down.
  if (options.uid !== undefined && deletionTimestamp !== undefined) return done;
  const known = options.resourceVersion;
  if (known !== undefined && resourceVersion !== known) throw refused ?? changed(asked);
  return 'again';
}

function write(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body: unknown): WireRequest {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : JSON_TYPE;
  return { method, path, accept: JSON_TYPE, contentType, body: JSON.stringify(body) };
}

const preconditionsOf = ({ uid, resourceVersion }: Preconditions): Preconditions => ({
  ...(uid !== undefined && { uid }),
  ...(resourceVersion !== undefined && { resourceVersion }),
});

const anothers = ({ verb, object, server }: Asked) =>
  new KubeError('AlreadyExists', `Cannot ${verb} ${object}: it is there already, and another's (${server})`, {
    status: 409,
  });

const changed = ({ verb, object, server }: Asked) =>
  new KubeError('Conflict', `Cannot ${verb} ${object}: it has changed meanwhile (${server})`, {
    hint: 'Read it again and decide anew.',
    status: 409,
  });
