// deploy/admission.yaml: by what an agent says that it lives and that it reclaims, it may speak for its own node alone.
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
      const path = `${COORDINATION_PATH}/manifold-reclaim`;
      const there = coordinationLease('manifold-reclaim', before);
      const { metadata } = await admission.cluster.api('POST', COORDINATION_PATH, there);
      const body = { ...coordinationLease('manifold-reclaim', after), metadata };
      const refusal = await admission.refusalOf(caller, 'PUT', `${path}?dryRun=All`, body);
      await admission.cluster.api('DELETE', path);
      expect(refusal ?? 'admitted').toContain(message);
    },
  );
});

describe('the reclaimer', () => {
  const OWN = 'an agent names its own node as the one that reclaims: this token is of n';

  test.each<[Caller, string, string]>([
    ['agent-1', 'n1', 'admitted'],
    ['agent-1', 'n2', `${OWN}ode n1`],
    ['agent-nowhere', 'n1', `${OWN}one`],
    ['admin', 'n2', 'admitted'],
  ])('%s names %s: %s', async (caller, node, message) => {
    const path = `/apis/ipam.manifold.dev/v1/reclaimers/manifold?dryRun=All`;
    const { metadata, ...reclaimer } = await admission.cluster.api('GET', path);
    const body = { ...reclaimer, metadata, spec: { node } };
    // As the agent does it: PATCH, for which PUT's right is not needed.
    const contentType = 'application/merge-patch+json';
    expect((await admission.refusalOf(caller, 'PATCH', path, body, contentType)) ?? 'admitted').toContain(
      message,
    );
  });

  test('has one name', async () => {
    const object = { apiVersion: 'ipam.manifold.dev/v1', kind: 'Reclaimer', spec: { node: 'n1' } };
    const path = '/apis/ipam.manifold.dev/v1/reclaimers';
    const body = { ...object, metadata: { name: 'second' } };
    const answer = await admission.cluster.request({ method: 'POST', path, body });
    expect(answer).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining('its name is manifold') },
    });
  });

  test('is no condition for a DEL: where there is none, a node ends its own leases', async () => {
    const lease = leaseObject({ node: 'n1' });
    await admission.cluster.api('POST', LEASES_PATH, lease);
    await admission.cluster.api('DELETE', '/apis/ipam.manifold.dev/v1/reclaimers/manifold');
    // Longer than it takes the API server to notice.
    for (let i = 0; i < 20; i++) {
      const at = `${LEASES_PATH}/${lease.metadata.name}?dryRun=All`;
      expect(await admission.refusalOf('plugin-1', 'DELETE', at)).toBeUndefined();
      await sleep(50);
    }
    await admission.cluster.api('DELETE', `${LEASES_PATH}/${lease.metadata.name}`);
  });

  test('is looked at also when the policies were deleted and applied again', async () => {
    const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic';
    await admission.setReclaimer('n1');
    for (const kind of ['ybindings', 'ies'])
      await admission.cluster.api('DELETE', `${policies}${kind}/manifold-reclaim`);
    await sleep(1500);
    await applyManifests(admission.cluster, ['admission.yaml']);
    await admission.setReclaimer('n2');
    await admission.setReclaimer('n1');
  });
});

test('the API server finds nothing to warn of in the policies', async () => {
  const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
  const { items } = await admission.cluster.api('GET', path);
  expect(items).toHaveLength(4);
  for (const { metadata, status } of items)
    expect([metadata.name, status?.typeChecking?.expressionWarnings]).toEqual([metadata.name, undefined]);
});
