// deploy/rbac.yaml: each service account may do what is listed here, and nothing else.
import { beforeAll, describe, expect, test } from 'vitest';
import { applyManifests, readManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { serviceAccountToken } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject, POOLS_PATH, poolObject } from '../kit/lease-object.ts';

const ACCOUNTS = ['manifold-plugin', 'manifold-agent'] as const;
type Account = (typeof ACCOUNTS)[number];

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];

/** Place: verbs. */
const MAY: Readonly<Record<Account, Readonly<Record<string, readonly string[]>>>> = {
  'manifold-plugin': {
    'ipam.manifold.dev/ipleases': ['get', 'list', 'create', 'update', 'delete'],
    'ipam.manifold.dev/ippools': ['get'],
  },
  'manifold-agent': {
    'ipam.manifold.dev/ipleases': ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],
    'ipam.manifold.dev/ippools': ['get', 'list', 'watch'],
    'ipam.manifold.dev/ippools/status': ['patch'],
    'ipam.manifold.dev/reclaimers': ['get', 'create', 'patch'],
    '/pods': ['get', 'list', 'watch'],
    '/pods in default': ['get', 'list', 'watch'],
    '/nodes': ['get', 'list', 'watch'],
    'coordination.k8s.io/leases in kube-system': ['get', 'create', 'update'],
    'coordination.k8s.io/leases in kube-node-lease': ['get', 'list'],
  },
};

/** Beside those above: what somebody with a node's credentials would want. */
const TEMPTING = [
  'ipam.manifold.dev/ipleases/status',
  'coordination.k8s.io/leases',
  'coordination.k8s.io/leases in default',
  '/pods/status',
  '/pods/exec',
  '/nodes/status',
  '/secrets',
  '/secrets in kube-system',
  '/configmaps in kube-system',
  '/serviceaccounts/token in kube-system',
  '/events in default',
  'rbac.authorization.k8s.io/clusterroles',
  'apiextensions.k8s.io/customresourcedefinitions',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'whereabouts.cni.cncf.io/overlappingrangeipreservations in kube-system',
  'whereabouts.cni.cncf.io/ippools in kube-system',
  'k8s.cni.cncf.io/network-attachment-definitions',
];
const PLACES = [...new Set([...ACCOUNTS.flatMap((account) => Object.keys(MAY[account])), ...TEMPTING])];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml', 'rbac.yaml']);
});

const credentialOf = async (account: Account) => ({
  token: await serviceAccountToken(cluster, { namespace: 'kube-system', serviceAccount: account }),
});

/** @param place "group/resource[/subresource]", " in namespace" */
async function verbsOf(account: Account, place: string): Promise<string[]> {
  const [target = '', namespace] = place.split(' in ');
  const [group = '', resource = '', subresource] = target.split('/');
  const credential = await credentialOf(account);
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const asked = VERBS.map(async (verb) => {
    const body = { spec: { resourceAttributes: { group, resource, subresource, namespace, verb } } };
    const answer = await cluster.request({ method: 'POST', path, body, credential });
    return answer.body.status.allowed === true ? [verb] : [];
  });
  return (await Promise.all(asked)).flat();
}

describe.each(ACCOUNTS)('%s', (account) => {
  test.each(PLACES)('may do to %s what is listed and nothing else', async (place) => {
    expect(await verbsOf(account, place)).toEqual(MAY[account][place] ?? []);
  });
});

test('a plugin claims, reads, lets rest and deletes a lease, and reads a pool: each of them really', async () => {
  const credential = await credentialOf('manifold-plugin');
  await cluster.api('POST', POOLS_PATH, poolObject({ range: '10.1.0.0/16' }));
  const lease = leaseObject();
  const path = `${LEASES_PATH}/${lease.metadata.name}`;
  const as = async (method: string, at: string, body?: object) => {
    const answer = await cluster.request({ method, path: at, body, credential });
    return { ...answer.body, code: answer.status };
  };
  const made = await as('POST', LEASES_PATH, lease);
  expect(made.code).toBe(201);
  expect(await as('GET', path)).toMatchObject({ code: 200, spec: lease.spec });
  expect(await as('GET', `${LEASES_PATH}?resourceVersion=0`)).toMatchObject({ code: 200 });
  const renewed = { ...lease.spec, renewed: '2026-01-03T00:00:00Z' };
  expect(await as('PUT', path, { ...lease, metadata: made.metadata, spec: renewed })).toMatchObject({
    code: 200,
  });
  expect(await as('DELETE', path)).toMatchObject({ code: 200 });
  expect(await as('GET', `${POOLS_PATH}/pool`)).toMatchObject({ code: 200 });
  for (const [method, at] of [
    ['GET', POOLS_PATH],
    ['GET', `${LEASES_PATH}?watch=1&timeoutSeconds=1`],
    ['DELETE', LEASES_PATH],
    ['GET', '/api/v1/pods'],
  ] as const)
    expect([at, (await as(method, at)).code]).toEqual([at, 403]);
});

test('the rights for a migration are nobody’s until they are bound, and then those of one namespace', async () => {
  const may = (place: string) => verbsOf('manifold-plugin', `whereabouts.cni.cncf.io/${place}`);
  const subject = ['--clusterrole=manifold-migration', '--serviceaccount=kube-system:manifold-plugin'];
  await cluster.kubectl('create', 'rolebinding', 'manifold-migration', '-n', 'kube-system', ...subject);
  await expect
    .poll(() => may('overlappingrangeipreservations in kube-system'))
    .toEqual(['get', 'list', 'create', 'patch', 'delete']);
  expect(await may('ippools in kube-system')).toEqual(['get', 'list', 'patch']);
  expect(await may('nodeslicepools in kube-system')).toEqual([]);
  expect(await may('ippools in default')).toEqual([]);
});

test('no role names all verbs, all resources or all groups', () => {
  const roles = readManifests(['rbac.yaml']).filter(({ kind }) => kind.endsWith('Role'));
  expect(roles.map(({ metadata }) => metadata.name).sort()).toEqual([
    'manifold-agent',
    'manifold-agent',
    'manifold-agent',
    'manifold-migration',
    'manifold-plugin',
  ]);
  expect(JSON.stringify(roles)).not.toContain('*');
});
