// LIST: page after page, begun again when it expires on its way.
import { type Calls, JSON_TYPE } from './calls.ts';
import type {
  KubeClient,
  KubeList,
  KubeObject,
  KubeResource,
  ListOptions,
  RawObject,
} from './kube-client.ts';
import { isKubeError } from './kube-error.ts';
import { pathOf, queryOf } from './resource-path.ts';

const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json';
const PAGE_SIZE = 500;
/** So often a list that expires is begun again in pages; after that it is taken whole. */
const RESTARTS = 2;

interface Page<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

export function createList({ askedFor, ask, limited }: Calls): KubeClient['list'] {
  return async <T extends KubeObject>(resource: KubeResource, options: ListOptions = {}) => {
    const size = options.pageSize ?? (options.resourceVersion === '0' ? undefined : PAGE_SIZE);
    for (let restarts = 0; ; restarts++) {
      try {
        return await allPages<T>(resource, options, restarts < RESTARTS ? size : undefined);
      } catch (error) {
        if (!isKubeError(error, 'Expired') || restarts >= RESTARTS) throw error;
      }
    }
  };

  async function allPages<T extends KubeObject>(
    resource: KubeResource,
    options: ListOptions,
    size: number | undefined,
  ): Promise<KubeList<T>> {
    const items: T[] = [];
    for (let token = ''; ; ) {
      const got = await page<T & RawObject>(resource, options, size?.toString(), token);
      if (options.onPage !== undefined) options.onPage(got.items ?? [], token === '');
      else for (const item of got.items ?? []) items.push(item);
      const { continue: next, resourceVersion = '' } = got.metadata ?? {};
      if (!next) return { resourceVersion, items };
      token = next;
    }
  }

  function page<T>(resource: KubeResource, options: ListOptions, limit: string | undefined, token: string) {
    const { resourceVersion, metadataOnly = false } = options;
    // A token says of itself what it continues: a resourceVersion beside it is refused.
    const from = token === '' ? { resourceVersion } : { continue: token };
    const path = pathOf(resource, options) + queryOf(options, { ...from, limit });
    const request = { method: 'GET', path, accept: metadataOnly ? METADATA_ONLY : JSON_TYPE } as const;
    const asked = askedFor('list', resource, options);
    return limited(options, (within) => ask<Page<T>>({ request, asked, limit: within }));
  }
}
