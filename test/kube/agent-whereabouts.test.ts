// While Whereabouts runs in the same cluster: what a claim reserved with it is given back with the lease.
import { beforeAll, expect, test } from 'vitest';
import { createReservations } from '../../ipam/whereabouts/reservations.ts';
import { AgentNode, eventually, readLeases } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { installWhereabouts } from '../kit/whereabouts-objects.ts';

const RESERVATIONS =
  '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations';

let cluster: Cluster;
let namespace: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  await installWhereabouts(cluster);
  namespace = await createNamespace(cluster);
});

const reserved = async (): Promise<string[]> =>
  (await cluster.api('GET', RESERVATIONS)).items.map(
    ({ metadata }: { metadata: { name: string } }) => metadata.name,
  );

test.each([
  ['the row of this node', true],
  ['the API server, where this node has lost its row', false],
])('an agent that ends a lease by %s gives the reservation back', async (_, keepsRow) => {
  await using node = await AgentNode.join(cluster);
  node.reservations = createReservations({ client: node.client, namespace: async () => 'kube-system' });
  const name = keepsRow ? 'with-row' : 'without-row';
  const uid = await createPod(cluster, { namespace, name, node: node.name });
  const [address = ''] = await node.add({ range: '10.60.0.0/24' }, { container: 'c', namespace, name, uid });
  expect(await reserved()).toEqual([address]);
  if (!keepsRow)
    node.read((store) => {
      for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
    });
  await deletePod(cluster, namespace, name);
  node.endSandbox('c');
  node.startAgent();
  await eventually(reserved, (names) => names.length === 0);
  expect((await readLeases(cluster)).get(address)?.spec.phase).toBe('Resting');
});
