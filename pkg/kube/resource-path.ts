// Where an object or a collection is found at the API server, and how messages name it.
import type { KubeResource, Place, Selection } from './kube-client.ts';
import { KubeError } from './kube-error.ts';

/** "/apis/ipam.manifold.dev/v1/ipleases/10.1.0.5". @throws KubeError BadRequest for a name that is no single step of a path */
export function pathOf(resource: KubeResource, place: Place, name?: string, subresource?: string): string {
  const { plural, namespaced } = resource;
  const root = discoveryPathOf(resource);
  const steps = [
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  const inside =
    namespaced && place.namespace !== undefined ? ['namespaces', place.namespace, ...steps] : steps;
  for (const step of inside)
    if (!/^[A-Za-z0-9._:~-]+$/.test(step) || step === '.' || step === '..')
      throw new KubeError(
        'BadRequest',
        `Cannot ask for ${nameOf(resource)}: this is no name (${JSON.stringify(step)})`,
        {
          hint: 'Names of Kubernetes have lower-case letters, digits, "-" and ".".',
        },
      );
  return `${root}/${inside.join('/')}`;
}

/** Where the API server lists the resources of a group and version. */
export const discoveryPathOf = ({ group, version }: KubeResource): string =>
  group === '' ? `/api/${version}` : `/apis/${group}/${version}`;

/** As RBAC and kubectl name it: "ipleases.ipam.manifold.dev". */
export const nameOf = ({ group, plural }: KubeResource): string =>
  group === '' ? plural : `${plural}.${group}`;

/** "ipleases.ipam.manifold.dev 10.1.0.5", "pods default/web-0". */
export function objectOf(resource: KubeResource, { namespace }: Place, name?: string): string {
  const object = [
    ...(resource.namespaced && namespace !== undefined ? [namespace] : []),
    ...(name === undefined ? [] : [name]),
  ];
  return object.length === 0 ? nameOf(resource) : `${nameOf(resource)} ${object.join('/')}`;
}

export function queryOf(
  { labelSelector, fieldSelector }: Selection,
  more: Readonly<Record<string, string | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ labelSelector, fieldSelector, ...more }))
    if (value !== undefined && value !== '') query.set(key, value);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
