// A copy in memory of the objects of one selection, kept by list and watch. Whoever decides by it asks `synced` first,
// and never ends anything because a copy lacks it: an event that was lost must not cost anybody an address.
import { isDeepStrictEqual } from 'node:util';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient, KubeResource, ListOptions, RawObject } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import { type BackoffOptions, backoffMs, pause } from './pause.ts';

export interface MirrorOptions<T> {
  readonly resource: KubeResource;
  readonly selection?: Pick<ListOptions, 'fieldSelector' | 'labelSelector' | 'namespace'>;
  /** "0": the first look costs etcd nothing, and may be a little old. */
  readonly resourceVersion?: '0';
  /** What is kept of an object; undefined for what is not kept. */
  readonly read: (object: RawObject) => T | undefined;
  /** Called after each change of what is kept, and after each list. */
  readonly onChange?: () => void;
  readonly log: Logger;
  readonly backoff?: BackoffOptions;
}

/** What has been followed for so long did not fail for the reason of the time before. */
const LASTED_MS = 10_000;

export class Mirror<T> {
  readonly #client: Pick<KubeClient, 'list' | 'watch'>;
  readonly #options: MirrorOptions<T>;
  #objects: ReadonlyMap<string, T> = new Map();
  #synced = false;

  constructor(client: Pick<KubeClient, 'list' | 'watch'>, options: MirrorOptions<T>) {
    this.#client = client;
    this.#options = options;
  }

  /** True once a whole list has been seen. */
  get synced(): boolean {
    return this.#synced;
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Until the signal: failures are logged, and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, resource, backoff } = this.#options;
    for (let [failures, began] = [0, 0]; !signal.aborted; ) {
      try {
        began = performance.now();
        await this.#watch(await this.#list(signal), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!isManifoldError(error)) throw error;
        // A watch that is refused at once must not make a list of every moment.
        if (performance.now() - began > LASTED_MS) failures = 0;
        const expired = isKubeError(error, 'Expired');
        // Expired is how the API server says that it has forgotten: no fault, unless it says nothing else.
        log[expired ? 'info' : 'warn']('objects are listed again', {
          resource: resource.plural,
          reason: error.message,
          ...(error.hint !== undefined && { hint: error.hint }),
        });
        await pause(backoffMs(failures++, backoff), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { resource, selection, resourceVersion, read, onChange } = this.#options;
    const at = resourceVersion === undefined ? {} : { resourceVersion };
    const objects = new Map<string, T>();
    const list = await this.#client.list(resource, {
      ...{ ...selection, ...at, signal },
      // Page by page: ten thousand whole objects would be held at once.
      onPage(items, isFirst) {
        if (isFirst) objects.clear();
        for (const object of items) {
          const kept = read(object);
          if (kept !== undefined) objects.set(keyOf(object), kept);
        }
      },
    });
    // At once: nobody may see half a list.
    this.#objects = objects;
    this.#synced = true;
    onChange?.();
    return list.resourceVersion;
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { resource, selection, read, onChange } = this.#options;
    const objects = this.#objects as Map<string, T>;
    for await (const event of this.#client.watch(resource, { ...selection, resourceVersion, signal })) {
      if (event.type === 'BOOKMARK') continue;
      const key = keyOf(event.object);
      const kept = event.type === 'DELETED' ? undefined : read(event.object);
      // Most changes of a pod's status change nothing that is kept.
      if (isDeepStrictEqual(kept, objects.get(key))) continue;
      if (kept === undefined) objects.delete(key);
      else objects.set(key, kept);
      onChange?.();
    }
  }
}

const keyOf = ({ metadata: { namespace, name } }: RawObject): string =>
  namespace === undefined ? name : `${namespace}/${name}`;
