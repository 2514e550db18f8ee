// Whether an object that is there is what a write of ours wanted, where the answer to that write was lost.
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../cni/plugin.ts';
import type { KubeObject } from './kube-client.ts';

/** What the API server keeps of itself in metadata, and may differ though the object is the one we sent. */
const BOOKKEEPING = [
  'resourceVersion',
  'generation',
  'managedFields',
  'uid',
  'creationTimestamp',
  'selfLink',
  'namespace',
];

/** True when `found` is what a PUT of `sent` makes: equal but for the API server's bookkeeping. */
export function isAsSent(sent: KubeObject, found: KubeObject): boolean {
  return isDeepStrictEqual(essence(sent, found), essence(found, sent));
}

/** An own status is not compared: a resource with that subresource ignores what a PUT says of it. */
function essence(one: KubeObject, other: KubeObject): unknown {
  const { status, ...rest } = plain(one) as { status?: unknown; metadata?: Record<string, unknown> };
  const { metadata = {} } = rest;
  const kept = Object.entries(metadata).filter(
    ([key, value]) => !BOOKKEEPING.includes(key) && !isEmpty(value),
  );
  const told = 'status' in one && 'status' in other ? { status } : {};
  return { ...rest, ...told, metadata: Object.fromEntries(kept) };
}

/** True when a merge patch (RFC 7396) would change nothing in `found`. */
export function isPatched(patch: JsonObject, found: object): boolean {
  return Object.entries(patch).every(([key, wanted]) => {
    if (wanted === undefined) return true;
    const there = Object.hasOwn(found, key) ? (found as JsonObject)[key] : undefined;
    if (wanted === null) return there === undefined;
    return isObject(wanted) ? isObject(there) && isPatched(wanted, there) : isDeepStrictEqual(wanted, there);
  });
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The API server leaves empty maps and lists of metadata out. */
const isEmpty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** As it goes over the wire: keys that are undefined are gone. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
