// The callers that deploy/admission.yaml tells apart, and what it says to them.
import { ALL_MANIFESTS, applyManifests, untilEnforced } from './control-plane/apply-manifests.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { createNode, createPod, serviceAccountToken } from './control-plane/objects.ts';
import { LEASES_PATH, leaseObject } from './lease-object.ts';

export const COORDINATION_PATH = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

/** plugin-1: the plugins of node n1, by a pod there; node-bound-1: by the Node itself; nowhere: by no node's token. */
export type Caller =
  | 'plugin-1'
  | 'plugin-2'
  | 'agent-1'
  | 'agent-2'
  | 'node-bound-1'
  | 'plugin-nowhere'
  | 'agent-nowhere'
  | 'admin';

export class Admission {
  readonly cluster: Cluster;
  readonly #credentials: Readonly<Record<Caller, { readonly token: string }>>;

  constructor(cluster: Cluster, credentials: Readonly<Record<Caller, { readonly token: string }>>) {
    this.cluster = cluster;
    this.#credentials = credentials;
  }

  /** What a policy says to a request; undefined when it was admitted. @throws Error when something else refuses it */
  async refusalOf(
    caller: Caller,
    method: string,
    path: string,
    body?: object,
    contentType = 'application/json',
  ): Promise<string | undefined> {
    const credential = this.#credentials[caller];
    const answer = await this.cluster.request({ method, path, body, credential, contentType });
    if (answer.status < 300) return undefined;
    const { message } = answer.body;
    if (!`${message}`.includes('ValidatingAdmissionPolicy')) throw new Error(`${method} ${path}: ${message}`);
    return message;
  }

  /** Returns when the policies go by it. */
  async setReclaimer(node: string): Promise<void> {
    const path = '/apis/ipam.manifold.dev/v1/reclaimers/manifold?fieldManager=test&force=true';
    const object = { apiVersion: 'ipam.manifold.dev/v1', kind: 'Reclaimer', metadata: { name: 'manifold' } };
    const apply = 'application/apply-patch+yaml';
    await this.cluster.api('PATCH', path, { ...object, spec: { node } }, apply);
    const lease = leaseObject({ address: '10.99.0.9', subnet: '10.99.0.0/24', node: 'n9' });
    const at = `${LEASES_PATH}/${lease.metadata.name}`;
    await this.cluster.api('POST', LEASES_PATH, lease);
    const maySo = async (caller: Caller) =>
      (await this.refusalOf(caller, 'DELETE', `${at}?dryRun=All`)) === undefined;
    await untilEnforced(async () => (await maySo('agent-1')) === (node === 'n1'));
    await untilEnforced(async () => (await maySo('agent-2')) === (node === 'n2'));
    await this.cluster.api('DELETE', at);
  }
}

/** All of deploy/, and the policies work. */
export async function deployManifold(cluster: Cluster): Promise<void> {
  await applyManifests(cluster, ALL_MANIFESTS);
  const lease = leaseObject({ address: '10.99.0.8', subnet: '10.99.0.0/24', node: 'n9' });
  await cluster.api('POST', LEASES_PATH, lease);
  const path = `${LEASES_PATH}/${lease.metadata.name}`;
  // The kind that a policy reads is looked for every half minute.
  await untilEnforced(async () => (await cluster.request({ method: 'DELETE', path })).status !== 422);
}

/** Nodes n1 and n2, each with a pod of the plugins and one of the agent; the policies are in force. */
export async function manifoldAdmission(cluster: Cluster): Promise<Admission> {
  await deployManifold(cluster);
  for (const n of ['1', '2']) {
    await createNode(cluster, `n${n}`);
    for (const role of ['plugin', 'agent']) {
      const pod = { namespace: 'kube-system', name: `${role}-${n}`, node: `n${n}` };
      await createPod(cluster, { ...pod, serviceAccount: `manifold-${role}` });
    }
  }
  const token = async (role: string, pod?: string) => {
    const wanted = { namespace: 'kube-system', serviceAccount: `manifold-${role}`, ...(pod && { pod }) };
    return { token: await serviceAccountToken(cluster, wanted) };
  };
  const bound = ['--bound-object-kind=Node', '--bound-object-name=n1'];
  const admission = new Admission(cluster, {
    'plugin-1': await token('plugin', 'plugin-1'),
    'plugin-2': await token('plugin', 'plugin-2'),
    'agent-1': await token('agent', 'agent-1'),
    'agent-2': await token('agent', 'agent-2'),
    'node-bound-1': {
      token: (
        await cluster.kubectl('create', 'token', 'manifold-plugin', '-n', 'kube-system', ...bound)
      ).trim(),
    },
    'plugin-nowhere': await token('plugin'),
    'agent-nowhere': await token('agent'),
    admin: { token: cluster.adminToken },
  });
  const isRefused = async (path: string, body: object) =>
    (await admission.refusalOf('agent-1', 'POST', `${path}?dryRun=All`, body)) !== undefined;
  await untilEnforced(() => isRefused(LEASES_PATH, leaseObject({ node: 'n2' })));
  await untilEnforced(() => isRefused(COORDINATION_PATH, coordinationLease('manifold-node-n1', 'n2')));
  await admission.setReclaimer('n3');
  return admission;
}

export function coordinationLease(name: string, holderIdentity: string): object {
  const spec = { holderIdentity, leaseDurationSeconds: 15 };
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: 'kube-system' },
    spec,
  };
}
