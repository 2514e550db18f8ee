// The definition of IPLease: what can be selected by, and what kubectl shows.
import { beforeAll, describe, expect, test } from 'vitest';
import type { IpLease } from '../../ipam/ip-lease.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject, RESTING } from '../kit/lease-object.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml']);
});

const owner = leaseObject().spec.owner;

describe('of several leases', () => {
  const leases = [
    leaseObject(),
    leaseObject({ address: '10.1.0.3', domain: 'blue', network: 'rail1', node: 'n2' }),
    leaseObject({ address: '10.2.0.4', subnet: '10.2.0.0/24', ...RESTING }),
    leaseObject({
      address: 'fd00::5',
      subnet: 'fd00::/64',
      domain: 'blue@fd00::/64',
      owner: { ...owner, podNamespace: 'b', podName: 'q', uid: 'u2' },
    }),
    leaseObject({ address: '10.1.0.6', owner: { uid: 'c6', interface: 'net1', containerID: 'c6' } }),
  ];
  beforeAll(async () => {
    for (const lease of leases) await cluster.api('POST', LEASES_PATH, lease);
  });

  test.each([
    ['spec.domain=', [0, 2, 4]],
    ['spec.domain=blue', [1]],
    ['spec.domain=blue@fd00::/64', [3]],
    ['spec.domain=,spec.subnet=10.1.0.0/16', [0, 4]],
    ['spec.subnet=fd00::/64', [3]],
    ['spec.network=rail1', [1]],
    ['spec.node=n1', [0, 2, 3, 4]],
    ['spec.node!=n1', [1]],
    ['spec.phase=Held', [0, 1, 3, 4]],
    ['spec.phase=Resting', [2]],
    ['spec.owner.uid=u2', [3]],
    ['spec.owner.podNamespace=b', [3]],
    ['spec.owner.podNamespace=', [4]],
    ['spec.owner.podNamespace=a,spec.owner.podName=p,spec.phase=Held', [0, 1]],
  ])('%s selects exactly its own', async (selector, expected) => {
    for (const version of ['', '&resourceVersion=0']) {
      const path = `${LEASES_PATH}?fieldSelector=${encodeURIComponent(selector)}${version}`;
      const { items } = await cluster.api('GET', path);
      const names = items.map(({ metadata }: IpLease) => metadata.name).sort();
      expect(names).toEqual(expected.map((index) => leases[index]?.metadata.name).sort());
    }
  });

  test('a field that cannot select is an error and no empty list', async () => {
    const path = `${LEASES_PATH}?fieldSelector=spec.address%3D10.1.0.2`;
    expect(await cluster.request({ method: 'GET', path })).toMatchObject({ status: 400 });
  });

  test('kubectl shows whose each address is', async () => {
    const [header, ...rows] = await table('get', 'ipl');
    expect(header).toEqual([
      'NAME',
      'ADDRESS',
      'NETWORK',
      'NAMESPACE',
      'POD',
      'INTERFACE',
      'PHASE',
      'NODE',
      'AGE',
    ]);
    const age = expect.stringMatching(/^\d+[smhdy]|^<invalid>$/);
    expect(rows).toContainEqual(['10.2.0.4', '10.2.0.4', 'rail0', 'a', 'p', 'net1', 'Resting', 'n1', age]);
  });

  test('kubectl -o wide shows what it was given from, and until when it rests', async () => {
    const [header, ...rows] = await table('get', 'ipleases', '10.2.0.4', '-o', 'wide');
    expect(header?.slice(-4)).toEqual(['SUBNET', 'DOMAIN', 'CONTAINER', 'UNTIL']);
    // No domain: an empty cell.
    expect(rows[0]?.slice(-3)).toEqual(['10.2.0.0/24', 'c1', RESTING.until]);
  });

  test('kubectl get manifold shows them', async () => {
    expect(await cluster.kubectl('get', 'manifold')).toContain('blue.10.1.0.3');
  });

  const table = async (...argv: string[]): Promise<string[][]> =>
    (await cluster.kubectl(...argv))
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
});

test('kubectl explain says what each field means', async () => {
  const explained = await cluster.kubectl('explain', 'ipleases', '--recursive=false');
  expect(explained.replace(/\s+/g, ' ')).toContain('"manifold leases release"');
  const { properties } = (await cluster.api('GET', '/openapi/v3/apis/ipam.manifold.dev/v1')).components
    .schemas['dev.manifold.ipam.v1.IPLease'].properties.spec;
  const withoutWords = Object.entries<{ description?: string }>({
    ...properties,
    ...properties.owner.properties,
  })
    .filter(([, { description = '' }]) => description.length < 10)
    .map(([name]) => name);
  expect(withoutWords).toEqual([]);
});
