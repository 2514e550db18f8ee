// Says which agent reclaims where the admission policy of deploy/admission.yaml can read it: a custom resource, since
// what a policy reads of coordination.k8s.io can go stale (docs/decisions/reclaimer-object.md).
import { IPAM_GROUP } from '../../ipam/ip-lease.ts';
import type { KubeClient, KubeObject, KubeResource } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';

const RECLAIMERS: KubeResource = {
  group: IPAM_GROUP,
  version: 'v1',
  plural: 'reclaimers',
  kind: 'Reclaimer',
  namespaced: false,
};

/** There is one. */
const NAME = 'manifold';

interface Reclaimer extends KubeObject {
  readonly spec: { readonly node: string };
}

/**
 * May be repeated: what is said already costs no write. Where the kind is not installed there is no policy either, and
 * nothing to say.
 * @throws KubeError
 */
export async function announceReclaimer(
  client: KubeClient,
  node: string,
  signal: AbortSignal,
): Promise<void> {
  const spec = { node };
  try {
    await client.patch(RECLAIMERS, NAME, { spec }, { signal });
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error;
    await createReclaimer(client, spec, signal);
  }
}

async function createReclaimer(
  client: KubeClient,
  spec: Reclaimer['spec'],
  signal: AbortSignal,
): Promise<void> {
  const reclaimer: Reclaimer = {
    apiVersion: `${RECLAIMERS.group}/${RECLAIMERS.version}`,
    kind: RECLAIMERS.kind,
    metadata: { name: NAME },
    spec,
  };
  try {
    await client.create(RECLAIMERS, reclaimer, { signal, isOurs: (found) => found.spec.node === spec.node });
  } catch (error) {
    // NotFound: the kind. AlreadyExists: another agent is quicker, and the next pass says what holds then.
    if (!isKubeError(error, 'NotFound', 'AlreadyExists')) throw error;
  }
}
