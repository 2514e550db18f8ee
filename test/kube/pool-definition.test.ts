// The definition of IPPool (deploy/crds/ippool.yaml): what the API server takes and refuses, and what kubectl shows.
import { beforeAll, expect, test } from 'vitest';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { causesOf, POOLS_PATH, poolObject } from '../kit/lease-object.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/ippool.yaml']);
});

async function refusals(spec: object): Promise<[string, string][]> {
  const path = `${POOLS_PATH}?dryRun=All`;
  const { status, body } = await cluster.request({ method: 'POST', path, body: poolObject(spec) });
  return status === 201 ? [] : causesOf(body);
}

const range = '10.1.0.0/16';

test.each<[string, object]>([
  ['a subnet', { range }],
  ['a subnet with host bits', { range: '10.1.0.7/16' }],
  ['an IPv6 subnet', { range: 'fd00::/64' }],
  ['a part of a subnet', { range: '10.1.0.10-10.1.0.99/16' }],
  ['a part of an IPv6 subnet', { range: 'fd00::10 - fd00::99/64' }],
  ['ends within the range', { range, rangeStart: '10.1.0.10', rangeEnd: '10.1.255.1' }],
  ['an end within the subnet of a part', { range: '10.1.0.10-10.1.0.99/16', rangeEnd: '10.1.0.50' }],
  ['excluded addresses and subnets', { range, exclude: ['10.1.0.7', '10.1.1.0/24'] }],
  ['thousands of excluded addresses', { range, exclude: Array(4096).fill('10.1.255.250/32') }],
  [
    'all other keys',
    {
      range,
      gateway: '10.1.0.1',
      domain: 'Blue',
      reuseDelay: '1h30m',
      sticky: '0s',
      order: 'spread',
      namespaces: ['team-*', 'storage', '*'],
      nodes: ['gpu-*', 'node.example.org'],
    },
  ],
])('%s is taken', async (_, spec) => {
  expect(await refusals(spec)).toEqual([]);
});

const RANGE = 'must be a subnet such as 10.1.0.0/16';
const PATTERN = 'should match';

test.each<[string, object, string, string]>([
  ['no range', {}, 'spec.range', 'Required value'],
  ['a range without a prefix length', { range: '10.1.0.0' }, 'spec.range', RANGE],
  ['a range that is a word', { range: 'all-of-it' }, 'spec.range', RANGE],
  ['a part without a prefix length', { range: '10.1.0.1-10.1.0.9' }, 'spec.range', RANGE],
  ['a part that begins in another subnet', { range: '10.2.0.1-10.1.0.9/16' }, 'spec.range', RANGE],
  ['a part of two families', { range: '10.2.0.1-fd00::9/64' }, 'spec.range', RANGE],
  ['a part without a beginning', { range: '-10.1.0.9/16' }, 'spec.range', RANGE],
  ['IPv4-mapped addresses', { range: '::ffff:10.1.0.0/112' }, 'spec.range', RANGE],
  [
    'a beginning elsewhere',
    { range, rangeStart: '10.2.0.1' },
    'spec.rangeStart',
    'spec.rangeStart must lie in spec.range',
  ],
  [
    'an end of another family',
    { range, rangeEnd: 'fd00::1' },
    'spec.rangeEnd',
    'spec.rangeEnd must lie in spec.range',
  ],
  ['an end that is no address', { range, rangeEnd: 'last' }, 'spec.rangeEnd', 'must be an IP address'],
  [
    'an excluded word',
    { range, exclude: ['10.1.0.1', 'x1'] },
    'spec.exclude[1]',
    'must be an IP address or a subnet',
  ],
  [
    'a gateway with a prefix length',
    { range, gateway: '10.1.0.1/16' },
    'spec.gateway',
    'must be an IP address',
  ],
  ['a delay without a unit', { range, reuseDelay: '90' }, 'spec.reuseDelay', PATTERN],
  ['a delay of days', { range, reuseDelay: '1d' }, 'spec.reuseDelay', PATTERN],
  ['an empty delay', { range, sticky: '' }, 'spec.sticky', 'should be at least 2'],
  ['another order', { range, order: 'random' }, 'spec.order', 'Unsupported value: "random"'],
  ['a namespace in capitals', { range, namespaces: ['Team'] }, 'spec.namespaces[0]', PATTERN],
  ['a node that is named twice', { range, nodes: ['a', 'a'] }, 'spec.nodes[1]', 'Duplicate value'],
])('%s is refused', async (_, spec, field, message) => {
  expect(await refusals(spec)).toContainEqual([field, expect.stringContaining(message)]);
});

test.each<[string, object, object, string | undefined]>([
  ['a wider range', { range }, { range: '10.0.0.0/8' }, undefined],
  ['an empty domain in place of none', { range }, { range, domain: '' }, undefined],
  ['another domain', { range, domain: 'a' }, { range, domain: 'b' }, 'spec.domain must not change'],
  ['a domain in place of none', { range }, { range, domain: 'b' }, 'spec.domain must not change'],
  ['no domain in place of one', { range, domain: 'a' }, { range }, 'spec.domain must not change'],
])('a change to %s', async (_, before, after, message) => {
  const { metadata } = await cluster.api('POST', POOLS_PATH, poolObject(before, 'changed'));
  const path = `${POOLS_PATH}/changed`;
  const answer = await cluster.request({ method: 'PUT', path, body: { ...poolObject(after), metadata } });
  await cluster.api('DELETE', path);
  if (message === undefined) expect(answer.status).toBe(200);
  else expect(causesOf(answer.body)).toEqual([['spec.domain', expect.stringContaining(message)]]);
});

test('the status is written apart from the spec, and kubectl shows both', async () => {
  const status = {
    capacity: '340282366920938463463374607431768211456',
    used: 3,
    resting: 1,
    free: '340282366920938463463374607431768211452',
    conditions: [
      {
        type: 'Available',
        status: 'True',
        reason: 'AddressesFree',
        message: '',
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
      {
        type: 'Valid',
        status: 'False',
        reason: 'BadRange',
        message: 'no',
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
    ],
  };
  await cluster.api('POST', POOLS_PATH, { ...poolObject({ range, domain: 'blue' }, 'shown'), status });
  expect((await cluster.api('GET', `${POOLS_PATH}/shown`)).status).toBeUndefined();
  const merge = 'application/merge-patch+json';
  const patch = { spec: { range: '10.9.0.0/16' }, status };
  const { spec } = await cluster.api('PATCH', `${POOLS_PATH}/shown/status`, patch, merge);
  expect(spec.range).toBe(range);

  const table = async (...argv: string[]): Promise<string[][]> =>
    (await cluster.kubectl('get', 'ipp', 'shown', ...argv))
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/));
  const age = expect.stringMatching(/^\d+s$/);
  expect(await table()).toEqual([
    ['NAME', 'RANGE', 'USED', 'FREE', 'RESTING', 'AVAILABLE', 'AGE'],
    ['shown', range, '3', status.free, '1', 'True', age],
  ]);
  expect((await table('-o', 'wide')).map((line) => line.slice(7))).toEqual([
    ['CAPACITY', 'DOMAIN', 'VALID'],
    [status.capacity, 'blue', 'False'],
  ]);
});

test.each([
  [{ used: -1 }, 'status.used'],
  [{ free: 'many' }, 'status.free'],
  [{ conditions: [{ type: 'Valid', status: 'Perhaps' }] }, 'status.conditions[0].status'],
])('a status %j is refused', async (status, field) => {
  await cluster.api('POST', POOLS_PATH, poolObject({ range }, 'status'));
  const contentType = 'application/merge-patch+json';
  const path = `${POOLS_PATH}/status/status`;
  const answer = await cluster.request({ method: 'PATCH', path, body: { status }, contentType });
  await cluster.api('DELETE', `${POOLS_PATH}/status`);
  expect(answer.status).toBe(422);
  expect(causesOf(answer.body).map(([where]) => where)).toContain(field);
});
