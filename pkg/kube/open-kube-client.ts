// A client that reads its kubeconfig at the first call, so that having one at hand costs nothing.
import { createKubeClient, type KubeClientOptions } from './create-kube-client.ts';
import type { KubeClient, KubeObject, KubeResource, RawObject, Selection } from './kube-client.ts';
import { readTrustedKubeconfig } from './kubeconfig.ts';

/** Each call @throws KubeError Credentials as well, where the kubeconfig cannot be used; the next one reads it again. */
export function openKubeClient(kubeconfig: string, options: KubeClientOptions = {}): KubeClient {
  let opened: KubeClient | undefined;
  let opening: Promise<KubeClient> | undefined;
  const open = async (): Promise<KubeClient> => {
    opened = createKubeClient(await readTrustedKubeconfig(kubeconfig), options);
    return opened;
  };
  const client = (): Promise<KubeClient> => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  return {
    get: async (...call) => (await client()).get(...call),
    list: async (...call) => (await client()).list(...call),
    create: async (...call) => (await client()).create(...call),
    replace: async (...call) => (await client()).replace(...call),
    patch: async (...call) => (await client()).patch(...call),
    delete: async (...call) => (await client()).delete(...call),
    async *watch<T extends KubeObject = RawObject>(
      resource: KubeResource,
      options: Selection & { readonly resourceVersion: string },
    ) {
      yield* (await client()).watch<T>(resource, options);
    },
    serves: async (...call) => (await client()).serves(...call),
    cluster: async () => (await client()).cluster?.(),
    now: () => opened?.now() ?? Date.now(),
    close: () => opened?.close(),
  };
}
