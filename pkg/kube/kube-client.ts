// The API server as the rest of Manifold sees it: a few verbs over objects. Types only.
import type { JsonObject } from '../cni/plugin.ts';

/** A resource of the API: { group: '', version: 'v1', plural: 'pods', namespaced: true }. */
export interface KubeResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The parts of metav1.ObjectMeta that are used. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly JsonObject[];
  readonly finalizers?: readonly string[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** As a list or watch without schema answers it: callers parse what they use. */
export interface RawObject extends KubeObject {
  readonly [key: string]: unknown;
}

export interface CallOptions {
  /** Ends the call, its retries included. The client's own limit for a call holds beside it. */
  readonly signal?: AbortSignal;
  /** Shortens the client's own limit for this call, in milliseconds. */
  readonly timeoutMs?: number;
}

export interface Place extends CallOptions {
  /** Of the object; required for a namespaced resource, except for a list or watch of all namespaces. */
  readonly namespace?: string;
}

export interface Selection extends Place {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection {
  /** "0": whatever the API server has in memory, at no cost to etcd. Absent: the newest. */
  readonly resourceVersion?: string;
  /** Objects a page; the client asks for page after page. @default 500, none with resourceVersion "0" */
  readonly pageSize?: number;
  /** Only metadata of each object (PartialObjectMetadata). */
  readonly metadataOnly?: boolean;
  /**
   * Is given each page as it comes, and `items` of the answer is then empty: for who keeps less than whole objects.
   * The first page comes again when a list that has expired on its way is begun again.
   */
  readonly onPage?: (items: readonly RawObject[], isFirst: boolean) => void;
}

export interface KubeList<T> {
  readonly resourceVersion: string;
  readonly items: readonly T[];
}

/** Which state of an object may be deleted or patched: both are checked by the API server. */
export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Everything up to this resourceVersion has been seen. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/**
 * Every call retries what may succeed a moment later (429, with its Retry-After; 5xx; broken connections) with
 * back-off, until its limit. A write whose answer was lost is settled by reading before it is reported.
 * @throws KubeError from every method
 */
export interface KubeClient {
  /** @throws KubeError NotFound */
  get<T extends KubeObject = RawObject>(resource: KubeResource, name: string, place?: Place): Promise<T>;
  /** All pages. A list that expires on its way is begun again. */
  list<T extends KubeObject = RawObject>(resource: KubeResource, options?: ListOptions): Promise<KubeList<T>>;
  /**
   * @param isOurs of the object that is there after an answer was lost, or that an answer AlreadyExists speaks of
   *   after a repeated request: whether it is what this call wanted. Then it is returned.
   * @throws KubeError AlreadyExists for another's; maybeDone when nobody could find out
   */
  create<T extends KubeObject>(
    resource: KubeResource,
    object: T,
    options: Place & { readonly isOurs: (found: T) => boolean },
  ): Promise<T>;
  /** PUT. The object's resourceVersion is the precondition. @throws KubeError Conflict, NotFound */
  replace<T extends KubeObject>(resource: KubeResource, object: T, place?: Place): Promise<T>;
  /**
   * JSON merge patch (RFC 7396). `subresource`: e.g. 'status'. A precondition is written into the patch.
   * @throws KubeError Conflict, NotFound
   */
  patch<T extends KubeObject = RawObject>(
    resource: KubeResource,
    name: string,
    patch: JsonObject,
    options?: Place & Preconditions & { readonly subresource?: string },
  ): Promise<T>;
  /**
   * @returns 'gone' when there was no such object, or one of another UID
   * @throws KubeError Conflict when it changed since `resourceVersion`
   */
  delete(resource: KubeResource, name: string, options?: Place & Preconditions): Promise<'deleted' | 'gone'>;
  /**
   * Events from a resourceVersion on; connects again by itself where a connection ends, from what was seen last.
   * Ends when the signal does. @throws KubeError Expired: list again
   */
  watch<T extends KubeObject = RawObject>(
    resource: KubeResource,
    options: Selection & { readonly resourceVersion: string },
  ): AsyncIterable<WatchEvent<T>>;
  /**
   * Whether the API server knows the resource at all. Everybody who is authenticated may ask (ClusterRole
   * system:discovery), while a verb on an unknown resource is refused to those without the right to it.
   */
  serves(resource: KubeResource, options?: CallOptions): Promise<boolean>;
  /** Which cluster it asks, for isSameCluster; absent where nobody can tell. @throws KubeError Credentials */
  cluster?(): Promise<string | undefined>;
  /** Milliseconds since the epoch by the clock of the API server as its last answer told it; the own clock before that. */
  now(): number;
  /** Ends idle connections: without it a process would wait for them. */
  close(): void;
}
