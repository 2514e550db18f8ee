// An API server of a few lines, for laws over thousands of steps and for interleavings that nobody can cause. What the
// real one does is tested in test/kube.
import type { KubeClient, KubeObject, KubeResource, RawObject } from '../../pkg/kube/kube-client.ts';
import { KubeError, type KubeReason } from '../../pkg/kube/kube-error.ts';

export class KubeInMemory {
  /** Milliseconds since the epoch. */
  time = Date.UTC(2026, 0, 1);
  /** True: no call gets through. */
  isAway = false;
  /** What each call fails with. */
  refuseWith: KubeError | undefined;
  /** Every call, "create 10.0.0.1". */
  readonly calls: string[] = [];
  readonly objects = new Map<string, RawObject>();
  #version = 1;

  client(): KubeClient {
    const refuse = (reason: KubeReason, name: string) =>
      new KubeError(reason, `Cannot ask for ${name}: ${reason}`);
    const ask = async (verb: string, name: string): Promise<void> => {
      this.calls.push(`${verb} ${name}`);
      await Promise.resolve();
      if (this.refuseWith !== undefined) throw this.refuseWith;
      if (this.isAway) throw refuse('Unreachable', name);
    };
    const keyOf = ({ plural }: KubeResource, name: string) => `${plural}/${name}`;
    const stored = (object: KubeObject, uid: string): RawObject => ({
      ...structuredClone(object),
      metadata: { ...object.metadata, uid, resourceVersion: String(this.#version++) },
    });
    return {
      get: async <T extends KubeObject>(resource: KubeResource, name: string) => {
        await ask('get', name);
        const found = this.objects.get(keyOf(resource, name));
        if (found === undefined) throw refuse('NotFound', name);
        return structuredClone(found) as unknown as T;
      },
      list: async <T extends KubeObject>(
        resource: KubeResource,
        options: { fieldSelector?: string } = {},
      ) => {
        await ask('list', options.fieldSelector ?? resource.plural);
        const wanted = (options.fieldSelector ?? '').split(',').filter(Boolean);
        const items = [...this.objects.entries()]
          .filter(
            ([key, object]) =>
              key.startsWith(`${resource.plural}/`) && wanted.every((term) => fits(object, term)),
          )
          .map(([, object]) => structuredClone(object) as unknown as T);
        return { resourceVersion: String(this.#version), items };
      },
      create: async <T extends KubeObject>(resource: KubeResource, object: T) => {
        const { name } = object.metadata;
        await ask('create', name);
        if (this.objects.has(keyOf(resource, name))) throw refuse('AlreadyExists', name);
        const made = stored(object, `uid-${this.#version}`);
        this.objects.set(keyOf(resource, name), made);
        return structuredClone(made) as unknown as T;
      },
      replace: async <T extends KubeObject>(resource: KubeResource, object: T) => {
        const { name, uid, resourceVersion } = object.metadata;
        await ask('replace', name);
        const found = this.objects.get(keyOf(resource, name));
        if (found === undefined) throw refuse('NotFound', name);
        const now = found.metadata;
        if (now.resourceVersion !== resourceVersion || (uid !== undefined && uid !== now.uid))
          throw refuse('Conflict', name);
        const { deletionTimestamp } = now;
        const kept = {
          ...object,
          metadata: { ...object.metadata, ...(deletionTimestamp && { deletionTimestamp }) },
        };
        const made = stored(kept, now.uid ?? '');
        this.objects.set(keyOf(resource, name), made);
        return structuredClone(made) as unknown as T;
      },
      delete: async (resource, name, { uid, resourceVersion } = {}) => {
        await ask('delete', name);
        const found = this.objects.get(keyOf(resource, name));
        const now = found?.metadata;
        if (found === undefined || now === undefined || (uid !== undefined && uid !== now.uid)) return 'gone';
        if (resourceVersion !== undefined && resourceVersion !== now.resourceVersion)
          throw refuse('Conflict', name);
        const deletionTimestamp = new Date(this.time).toISOString();
        if (now.finalizers?.length)
          this.objects.set(
            keyOf(resource, name),
            stored({ ...found, metadata: { ...now, deletionTimestamp } }, now.uid ?? ''),
          );
        else this.objects.delete(keyOf(resource, name));
        return 'deleted';
      },
      patch: () => Promise.reject(new Error('nobody patches here')),
      watch: () => {
        throw new Error('nobody watches here');
      },
      serves: async () => true,
      now: () => this.time,
      close: () => undefined,
    };
  }
}

/** "spec.owner.uid=u1" */
function fits(object: RawObject, term: string): boolean {
  const at = term.indexOf('=');
  let value: unknown = object;
  for (const key of term.slice(0, at).split('.')) value = Object(value)[key];
  return String(value ?? '') === term.slice(at + 1).replaceAll(/\\(.)/g, '$1');
}
