// Objects that tests of any subject need, and what controllers would do about them in a whole cluster.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

export interface PodSketch {
  readonly namespace: string;
  readonly name: string;
  /** Name of a node; it need not exist. */
  readonly node?: string;
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface TokenSketch {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Name of a pod of that service account: the token ends with it, and names its node. */
  readonly pod?: string;
}

/** A namespace with its service account, which a pod needs. @returns its name */
export async function createNamespace(
  cluster: Cluster,
  name = `test-${randomBytes(4).toString('hex')}`,
): Promise<string> {
  await cluster.api('POST', '/api/v1/namespaces', { metadata: { name } });
  await createServiceAccount(cluster, name, 'default');
  return name;
}

export async function createServiceAccount(cluster: Cluster, namespace: string, name: string): Promise<void> {
  await cluster.api('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
}

export async function createNode(cluster: Cluster, name: string): Promise<void> {
  await cluster.api('POST', '/api/v1/nodes', { metadata: { name } });
}

/** @returns its UID */
export async function createPod(cluster: Cluster, pod: PodSketch): Promise<string> {
  const { namespace, name, node, serviceAccount, labels, annotations } = pod;
  const created = await cluster.api('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: {
      containers: [{ name: 'main', image: 'test' }],
      ...(node !== undefined && { nodeName: node }),
      ...(serviceAccount !== undefined && { serviceAccountName: serviceAccount }),
    },
  });
  return created.metadata.uid;
}

/** At once: no kubelet confirms that it has ended. */
export async function deletePod(cluster: Cluster, namespace: string, name: string): Promise<void> {
  await cluster.api('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 0 });
}

/** A token of an hour, from the TokenRequest API as the kubelet asks for it. */
export async function serviceAccountToken(cluster: Cluster, wanted: TokenSketch): Promise<string> {
  const { namespace, serviceAccount, pod } = wanted;
  const bound = pod === undefined ? undefined : { kind: 'Pod', apiVersion: 'v1', name: pod };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
  const answer = await cluster.api('POST', path, {
    spec: { audiences: [], expirationSeconds: 3600, ...(bound && { boundObjectRef: bound }) },
  });
  return answer.status.token;
}

/** A CustomResourceDefinition, served without delay when this returns, two seconds later. */
export async function createDefinition(
  cluster: Cluster,
  definition: CustomResourceDefinition,
): Promise<void> {
  await cluster.api('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
  const { group, names, versions } = definition.spec;
  const served = versions.map(({ name }) => `/apis/${group}/${name}/${names.plural}`);
  for (const path of served)
    while ((await cluster.request({ method: 'GET', path })).status === 404) await sleep(20);
}

/** The parts that are read here. */
export interface CustomResourceDefinition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}
