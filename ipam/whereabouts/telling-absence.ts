// Whether Whereabouts is installed, told also to those who have no right to its objects: the API server refuses them
// before it says that there is no such resource.
import type { KubeClient, KubeResource, Place } from '../../pkg/kube/kube-client.ts';
import { isKubeError, KubeError } from '../../pkg/kube/kube-error.ts';

/** The same client, whose Forbidden is NotFound where the API server does not know the resource. */
export function tellingAbsence(client: KubeClient): KubeClient {
  async function told<T>(resource: KubeResource, place: Place | undefined, call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (!isKubeError(error, 'Forbidden')) throw error;
      const limit = place?.signal === undefined ? {} : { signal: place.signal };
      if (await client.serves(resource, limit)) throw error;
      throw new KubeError('NotFound', error.message, { cause: error });
    }
  }
  return {
    ...client,
    get: (resource, name, place) => told(resource, place, client.get(resource, name, place)),
    list: (resource, options) => told(resource, options, client.list(resource, options)),
    create: (resource, object, options) => told(resource, options, client.create(resource, object, options)),
    patch: (resource, name, patch, options) =>
      told(resource, options, client.patch(resource, name, patch, options)),
  };
}
