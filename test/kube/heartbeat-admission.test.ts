// deploy/admission.yaml: which leases of coordination.k8s.io an agent may keep, and as whose.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Admission,
  type Caller,
  COORDINATION_PATH,
  coordinationLease,
  manifoldAdmission,
} from '../kit/admission.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject } from '../kit/lease-object.ts';

let admission: Admission;
beforeAll(async () => {
  admission = await manifoldAdmission(await sharedCluster());
});

const UNBOUND = 'the token names no node: use one that is bound to a pod, or to a node';

describe('the leases of coordination.k8s.io', () => {
  const OTHERS =
    'the agent of node n1 keeps the leases manifold-node-n1 and manifold-reclaim alone: start it with --node-name n1';
  const HOLDER = 'spec.holderIdentity must be n1';

  test.each<[Caller, string, string, string]>([
    ['agent-1', 'manifold-node-n1', 'n1', 'admitted'],
    ['agent-1', 'manifold-node-n2', 'n2', OTHERS],
    ['agent-1', 'kube-scheduler', 'n1', OTHERS],
    ['agent-1', 'manifold-node-n1', 'n2', HOLDER],
    ['agent-nowhere', 'manifold-node-n1', 'n1', UNBOUND],
    ['admin', 'kube-scheduler', 'n2', 'admitted'],
  ])('%s creates %s for %s: %s', async (caller, name, holder, message) => {
    const path = `${COORDINATION_PATH}?dryRun=All`;
    const refusal = await admission.refusalOf(caller, 'POST', path, coordinationLease(name, holder));
    expect(refusal ?? 'admitted').toContain(message);
  });

  test.each<[Caller, string, string, string]>([
    ['agent-1', 'n1', 'n1', 'admitted'],
    ['agent-1', 'n1', '', 'admitted'],
    ['agent-1', 'n2', 'n1', 'admitted'],
    ['agent-1', '', 'n1', 'admitted'],
    ['agent-1', 'n2', '', HOLDER],
    ['agent-1', 'n1', 'n2', HOLDER],
  ])(
    '%s changes the holder of manifold-reclaim from "%s" to "%s": %s',
    async (caller, before, after, message) => {
      await admission.setReclaimer(before);
      const path = `${COORDINATION_PATH}/manifold-reclaim`;
      const { metadata } = await admission.cluster.api('GET', path);
      const body = { ...coordinationLease('manifold-reclaim', after), metadata };
      const refusal = await admission.refusalOf(caller, 'PUT', `${path}?dryRun=All`, body);
      expect(refusal ?? 'admitted').toContain(message);
    },
  );

  test('are left with their holder when the manifests are applied again', async () => {
    await admission.setReclaimer('n2');
    await applyManifests(admission.cluster, ['rbac.yaml', 'admission.yaml']);
    const { spec } = await admission.cluster.api('GET', `${COORDINATION_PATH}/manifold-reclaim`);
    expect(spec.holderIdentity).toBe('n2');
  });

  test('are no condition for a DEL: without manifold-reclaim a node still ends its own leases', async () => {
    const path = `${COORDINATION_PATH}/manifold-reclaim`;
    const lease = leaseObject({ node: 'n1' });
    await admission.cluster.api('POST', LEASES_PATH, lease);
    const { spec } = await admission.cluster.api('GET', path);
    await admission.cluster.api('DELETE', path);
    // For as long as it takes until a policy with "Deny" would have noticed.
    for (let i = 0; i < 20; i++) {
      const at = `${LEASES_PATH}/${lease.metadata.name}?dryRun=All`;
      expect(await admission.refusalOf('plugin-1', 'DELETE', at)).toBeUndefined();
      await sleep(50);
    }
    await admission.cluster.api('DELETE', `${LEASES_PATH}/${lease.metadata.name}`);
    const again = { ...coordinationLease('manifold-reclaim', ''), spec };
    await admission.cluster.api('POST', COORDINATION_PATH, again);
  });
});

test('the API server finds nothing to warn of in the policies', async () => {
  const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
  const { items } = await admission.cluster.api('GET', path);
  expect(items).toHaveLength(3);
  for (const { metadata, status } of items)
    expect([metadata.name, status?.typeChecking?.expressionWarnings]).toEqual([metadata.name, undefined]);
});
