// What the API server serves, by its lists of resources (APIResourceList).
import { type Calls, JSON_TYPE } from './calls.ts';
import type { KubeClient } from './kube-client.ts';
import { isKubeError } from './kube-error.ts';
import { discoveryPathOf } from './resource-path.ts';

interface ResourceList {
  readonly resources?: readonly { readonly name?: string }[];
}

export function createServes(calls: Calls): KubeClient['serves'] {
  return (resource, options = {}) =>
    calls.limited(options, async (limit) => {
      try {
        const { resources = [] } = await calls.ask<ResourceList>({
          request: { method: 'GET', path: discoveryPathOf(resource), accept: JSON_TYPE },
          asked: calls.askedFor('look for', resource, {}),
          limit,
        });
        return resources.some(({ name }) => name === resource.plural);
      } catch (error) {
        // The whole group is unknown.
        if (isKubeError(error, 'NotFound')) return false;
        throw error;
      }
    });
}
