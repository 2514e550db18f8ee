// Takes a cluster back to what it was when it was new, so that one file's tests leave nothing for the next. There is
// no controller manager: nobody else would empty a namespace.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

const TRIES = 200;
const PAUSE_MS = 50;
/** Kept by the API server itself, as custom resource definitions come and go. */
const DERIVED = ['apiservices'];
const DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

interface Kind {
  /** /api/v1 or /apis/group/version */
  readonly base: string;
  readonly resource: string;
}

interface FoundObject {
  /** Of the API. */
  readonly path: string;
  readonly resource: string;
  readonly isFinalized: boolean;
}

/** Paths of all objects that can be deleted. */
export async function allObjects(cluster: Cluster): Promise<readonly string[]> {
  return (await findObjects(cluster)).map(({ path }) => path);
}

/** Deletes all objects but these, without waiting for their finalizers. @throws Error that names what stays */
export async function deleteOthers(cluster: Cluster, kept: readonly string[]): Promise<void> {
  const known = new Set(kept);
  let left: readonly FoundObject[] = [];
  // Again and again: a policy stays in force for a moment, and what hangs on a deleted definition goes after it.
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    left = (await findObjects(cluster)).filter(({ path }) => !known.has(path));
    if (left.length === 0) return;
    await Promise.all(left.map((object) => deleteObject(cluster, object)));
    if (attempt > 0) await sleep(PAUSE_MS);
  }
  throw new Error(`Cannot empty the test cluster: these stay: ${left.map(({ path }) => path).join(' ')}`);
}

async function deleteObject(cluster: Cluster, { path, resource, isFinalized }: FoundObject): Promise<void> {
  const contentType = 'application/merge-patch+json';
  if (isFinalized)
    await cluster.request({ method: 'PATCH', path, contentType, body: { metadata: { finalizers: null } } });
  await cluster.request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0 } });
  if (resource !== 'namespaces') return;
  const name = path.split('/').at(-1);
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: { finalizers: [] } };
  await cluster.request({ method: 'PUT', path: `${path}/finalize`, body });
}

async function findObjects(cluster: Cluster): Promise<FoundObject[]> {
  const kinds = await findKinds(cluster);
  const found = await Promise.all(kinds.map((kind) => objectsOf(cluster, kind)));
  return found.flat();
}

async function objectsOf(cluster: Cluster, { base, resource }: Kind): Promise<FoundObject[]> {
  const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
  const { status, body } = await cluster.request({ method: 'GET', path: `${base}/${resource}`, accept });
  // A kind that its definition took with it after it was discovered.
  if (status !== 200) return [];
  // An empty list of metadata is null.
  return (body.items ?? []).map(({ metadata }: { metadata: FoundMetadata }) => {
    const { namespace, name, finalizers = [] } = metadata;
    const place = namespace === undefined ? base : `${base}/namespaces/${namespace}`;
    return { path: `${place}/${resource}/${name}`, resource, isFinalized: finalizers.length > 0 };
  });
}

interface FoundMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly finalizers?: readonly string[];
}

async function findKinds(cluster: Cluster): Promise<Kind[]> {
  const roots = ['/api', '/apis'].map(async (root) => {
    const { body } = await cluster.request({ method: 'GET', path: root, accept: DISCOVERY });
    return body.items.flatMap((group: DiscoveredGroup) => {
      const [version] = group.versions;
      const base = [root, group.metadata.name, version?.version].filter(Boolean).join('/');
      return (version?.resources ?? [])
        .filter(({ verbs }) => verbs.includes('list') && verbs.includes('delete'))
        .filter(({ resource }) => !DERIVED.includes(resource))
        .map(({ resource }) => ({ base, resource }));
    });
  });
  return (await Promise.all(roots)).flat();
}

/** apidiscovery.k8s.io/v2 */
interface DiscoveredGroup {
  readonly metadata: { readonly name?: string };
  /** The preferred one first. */
  readonly versions: readonly {
    readonly version: string;
    readonly resources?: readonly { readonly resource: string; readonly verbs: readonly string[] }[];
  }[];
}
