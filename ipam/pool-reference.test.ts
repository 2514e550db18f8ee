import { beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { formatCidr } from '../pkg/ip/cidr.ts';
import { formatRange } from '../pkg/ip/range.ts';
import { KubeError } from '../pkg/kube/kube-error.ts';
import type { PodRef } from '../pkg/state/node-store.ts';
import { KubeInMemory } from '../test/kit/kube-in-memory.ts';
import { type IpamConfig, parseIpamConfig } from './config.ts';
import { IP_POOLS } from './ip-pool.ts';
import { type PoolUser, withPools } from './pool-reference.ts';

let cluster: KubeInMemory;
let copies: Map<string, JsonObject>;
let time: number;

beforeEach(() => {
  cluster = new KubeInMemory();
  copies = new Map();
  time = 1_000_000;
});

async function pool(name: string, spec: object): Promise<void> {
  await cluster
    .client()
    .create(IP_POOLS, { metadata: { name }, spec } as { metadata: { name: string } }, { isOurs: () => true });
  cluster.calls.length = 0;
}

const config = (ipam: JsonObject): IpamConfig =>
  parseIpamConfig({ name: 'rail0', ipam, manifold: { kubeconfig: '/k' } });
const user = (pod: PodRef = { namespace: 'team-a', name: 'p' }, nodeName = 'gpu-7'): PoolUser => ({
  pod,
  nodeName,
});
const resolve = (ipam: JsonObject, asking: PoolUser | 'nobody' = user()) =>
  withPools(
    config(ipam),
    {
      client: cluster.client(),
      store: {
        copies: { get: (name) => copies.get(name), put: (name, value) => void copies.set(name, value) },
      },
      now: () => time,
    },
    asking === 'nobody' ? undefined : asking,
    AbortSignal.timeout(5000),
  );

test('a pool takes the place of a range, one address from each', async () => {
  await pool('four', {
    range: '10.0.0.0/24',
    rangeStart: '10.0.0.9',
    exclude: ['10.0.0.16/28'],
    gateway: '10.0.0.1',
  });
  await pool('six', {
    range: 'fd00::/64',
    domain: 'storage',
    order: 'lowest',
    reuseDelay: '5m',
    sticky: '1h',
  });
  const { sets, gateways } = await resolve({ pool: ['four', 'six'], reuseDelay: '10s' });
  const [[four] = [], [six] = []] = sets;
  expect(four?.usable.map(formatRange)).toEqual(['10.0.0.9-10.0.0.15', '10.0.0.32-10.0.0.254']);
  expect(four?.terms).toEqual({ reuseDelaySeconds: 10 });
  expect(gateways).toEqual([four?.gateway]);
  expect(six && formatCidr(six.subnet)).toBe('fd00::/64');
  // What the definition says goes before what the pool says.
  expect(six?.terms).toEqual({ order: 'lowest', reuseDelaySeconds: 10, stickySeconds: 3600 });
  expect(six?.domain).toBe('storage');
});

test('a pool is read once for a burst of calls, and again afterwards', async () => {
  await pool('p', { range: '10.0.0.0/24' });
  for (let i = 0; i < 5; i++) await resolve({ pool: 'p' });
  expect(cluster.calls).toEqual(['get p']);
  time += 60_000;
  await resolve({ pool: 'p' });
  expect(cluster.calls).toEqual(['get p', 'get p']);
});

test('while the API server is away, what was last read of a pool serves; of an unknown one nothing does', async () => {
  await pool('p', { range: '10.0.0.0/24' });
  await resolve({ pool: 'p' });
  time += 3_600_000;
  cluster.isAway = true;
  expect((await resolve({ pool: 'p' })).sets).toHaveLength(1);
  await expect(resolve({ pool: 'other' })).rejects.toMatchObject({ code: 'try-later' });
});

test('an owner that has an address of a pool waits for no API server: any copy will do', async () => {
  await pool('p', { range: '10.0.0.0/24' });
  await pool('q', { range: '10.1.0.0/24' });
  await resolve({ pool: ['p', 'q'] });
  time += 3_600_000;
  cluster.calls.length = 0;
  const own = [
    { domain: '', address: '10.0.0.9' },
    { domain: '', address: '10.1.0.9' },
  ];
  expect((await resolve({ pool: ['p', 'q'] }, { ...user(), own })).sets).toHaveLength(2);
  expect(cluster.calls).toEqual([]);
  await resolve({ pool: 'p' }, { ...user(), own: [{ domain: '', address: '10.1.0.9' }] });
  await resolve({ pool: 'q' }, { ...user(), own: [{ domain: 'storage', address: '10.1.0.9' }] });
  expect(cluster.calls).toEqual(['get p', 'get q']);
});

test.each([
  [{ namespaces: ['team-*'] }, user(), undefined],
  [{ namespaces: ['x', '*-a'] }, user(), undefined],
  [{ namespaces: ['t*m*a'], nodes: ['gpu-*'] }, user(), undefined],
  [
    { namespaces: ['team-b', 'ops'] },
    user(),
    'Cannot use IPPool p for pods of namespace team-a: it is for namespaces team-b, ops',
  ],
  [{ namespaces: ['team'] }, user(), 'it is for namespaces team'],
  [{ namespaces: ['ab*ba'] }, user({ namespace: 'aba' }), 'it is for namespaces ab*ba'],
  [{ namespaces: ['*'] }, user({}), 'Cannot use IPPool p for a caller that names no pod'],
  [{ nodes: ['cpu-*'] }, user(), 'Cannot use IPPool p for pods of node gpu-7: it is for nodes cpu-*'],
  [{ nodes: [] }, user(), 'it is for nodes of no name'],
])('a pool for %j and %j: %s', async (policy, asking, refusal) => {
  await pool('p', { range: '10.0.0.0/24', ...policy });
  const resolved = resolve({ pool: 'p' }, asking);
  if (refusal === undefined) expect((await resolved).sets).toHaveLength(1);
  else
    await expect(resolved).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringContaining(refusal),
    });
  expect((await resolve({ pool: 'p' }, 'nobody')).sets).toHaveLength(1);
});

test.each([
  [{ range: '10.0.0.0/33' }, "Cannot use IPPool p, 'spec.range' as it must be a CIDR"],
  [
    { range: '10.0.0.0/24', rangeStart: '10.0.1.0' },
    "Cannot use IPPool p, 'spec.rangeStart' as it must be an IPv4 address within",
  ],
  [
    { range: '10.0.0.0/24', reuseDelay: '5 minutes' },
    "Cannot use IPPool p, 'spec.reuseDelay' as it must be a length of time",
  ],
  [{ range: 7 }, "Cannot use IPPool p, 'spec.range' as it must be a string"],
])('a pool of %j is refused by name', async (spec, message) => {
  await pool('p', spec);
  await expect(resolve({ pool: 'p' })).rejects.toMatchObject({
    code: 'bad-config',
    message: expect.stringContaining(message),
  });
});

test('a pool that is not there is named', async () => {
  await expect(resolve({ pool: 'p' })).rejects.toMatchObject({
    code: 'bad-config',
    message: `Cannot use 'ipam.pool': there is no IPPool "p"`,
  });
});

test('a cluster without the definition of IPPools is told from one without that pool', async () => {
  const unknown = new KubeError('NotFound', 'Cannot get', { status: 404, isResourceUnknown: true });
  cluster.refuseWith = unknown;
  await expect(resolve({ pool: 'p' })).rejects.toMatchObject({
    message: `Cannot use 'ipam.pool': the cluster does not know IPPools (p)`,
    hint: expect.stringContaining('kubectl apply -R -f deploy/'),
  });
});
