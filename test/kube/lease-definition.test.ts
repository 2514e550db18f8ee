// The definition of IPLease (deploy/crds/iplease.yaml): which leases the API server takes and which it refuses. Long: two tables.
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { IpLeaseSpec } from '../../ipam/ip-lease.ts';
import { canonicalAddress } from '../../pkg/ip/address.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { causesOf, LEASES_PATH, leaseObject, RESTING } from '../kit/lease-object.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml']);
});

/** [field, message] of each rule that refuses, nothing when it is taken. Nothing is kept. */
async function refusals(object: object): Promise<[string, string][]> {
  const { status, body } = await cluster.request({
    method: 'POST',
    path: `${LEASES_PATH}?dryRun=All`,
    body: object,
  });
  return status === 201 ? [] : causesOf(body);
}

const owner = leaseObject().spec.owner;
const long = 'd'.repeat(64);

test.each<[string, string, Partial<IpLeaseSpec>]>([
  ['an address', '10.1.0.2', {}],
  ['a node by a name of several labels', '10.1.0.2', { node: 'w1.example.com' }],
  ['an IPv6 address', 'fd00--1', { address: 'fd00::1', subnet: 'fd00::/64' }],
  [
    'an IPv6 address without a gap',
    'fd00-1-2-3-4-5-6-7',
    { address: 'fd00:1:2:3:4:5:6:7', subnet: 'fd00::/16' },
  ],
  ['an IPv6 address that ends in zeros', 'fd00--0', { address: 'fd00::', subnet: 'fd00::/127' }],
  ['an IPv6 address that begins with zeros', '0--a', { address: '::a', subnet: '::/64' }],
  ['a domain that is a label', 'storage.10.1.0.2', { domain: 'storage' }],
  ['a domain of one character', '7.10.1.0.2', { domain: '7' }],
  ['a domain of 63 characters', `${'d'.repeat(63)}.10.1.0.2`, { domain: 'd'.repeat(63) }],
  ['a longer domain', expect.stringMatching(/^x-[0-9a-f]{16}\.10\.1\.0\.2$/), { domain: long }],
  ['a domain with capitals', expect.stringMatching(/^x-[0-9a-f]{16}\.10\.1\.0\.2$/), { domain: 'Storage' }],
  [
    'a domain of a subnet',
    expect.stringMatching(/^x-[0-9a-f]{16}\.fd00--1$/),
    {
      domain: 'blue@fd00::/64',
      address: 'fd00::1',
      subnet: 'fd00::/64',
    },
  ],
  ['a domain that looks hashed', expect.stringMatching(/^x-[0-9a-f]{16}\.10\.1\.0\.2$/), { domain: 'x-1' }],
  ['an owner without a pod', '10.1.0.2', { owner: { uid: 'c1', interface: 'net1', containerID: 'c1' } }],
  ['a subnet of one address', '10.1.0.2', { subnet: '10.1.0.2/32' }],
  ['all there is for a subnet', '10.1.0.2', { subnet: '0.0.0.0/0' }],
  ['a resting lease', '10.1.0.2', { ...RESTING, reuseDelaySeconds: 0 }],
  ['a sticky lease', '10.1.0.2', { ...RESTING, phase: 'Sticky', stickySeconds: 600 }],
  ['a lease that has rested long enough as it is freed', '10.1.0.2', { ...RESTING, until: RESTING.released }],
  [
    'times with an offset',
    '10.1.0.2',
    { acquired: '2026-01-02T05:04:05+02:00', renewed: '2026-01-02T03:04:05Z' },
  ],
])('%s is taken, under the name %s', async (_, name, change) => {
  const object = leaseObject(change);
  expect(object.metadata.name).toEqual(name);
  expect(await refusals(object)).toEqual([]);
});

const NAME = 'the name must be made of spec.domain and spec.address';
const CANONICAL = 'must be an IP address in canonical text';
const SUBNET = 'must be a subnet in canonical text, without host bits';
const TIMES =
  'spec.released and spec.until must be set when spec.phase is Resting or Sticky, and not when it is Held';

test.each<[string, string, Record<string, unknown>, string, string]>([
  ['the name of another address', '10.1.0.3', {}, '<nil>', NAME],
  ['a name with a domain in the empty one', 'blue.10.1.0.2', {}, '<nil>', NAME],
  ['a name without its domain', '10.1.0.2', { domain: 'blue' }, '<nil>', NAME],
  ['a name of another domain', 'red.10.1.0.2', { domain: 'blue' }, '<nil>', NAME],
  [
    'a hashed name for a domain that is a label',
    'x-0123456789abcdef.10.1.0.2',
    { domain: 'blue' },
    '<nil>',
    NAME,
  ],
  ['a short hash', 'x-0123.10.1.0.2', { domain: 'Blue' }, '<nil>', NAME],
  ['a hash before another address', 'x-0123456789abcdef.10.1.0.3', { domain: 'Blue' }, '<nil>', NAME],
  ['no hash for a domain that is no label', 'blue.10.1.0.2', { domain: 'Blue' }, '<nil>', NAME],
  [
    'an address in another spelling',
    'fd00--1',
    { address: 'fd00:0::1', subnet: 'fd00::/64' },
    'spec.address',
    CANONICAL,
  ],
  [
    'an address in capitals',
    'fd00--a',
    { address: 'FD00::A', subnet: 'fd00::/64' },
    'spec.address',
    CANONICAL,
  ],
  ['an address with leading zeros', '10.1.0.2', { address: '10.1.0.02' }, 'spec.address', CANONICAL],
  [
    'an IPv4-mapped address',
    '0--ffff-10.0.0.1',
    { address: '::ffff:10.0.0.1', subnet: '::/64' },
    'spec.address',
    CANONICAL,
  ],
  ['an address with a prefix length', '10.1.0.2', { address: '10.1.0.2/16' }, 'spec.address', CANONICAL],
  ['an address that is a name', 'web', { address: 'web' }, 'spec.address', CANONICAL],
  [
    'an address that is too long',
    '10.1.0.2',
    { address: '1'.repeat(40) },
    'spec.address',
    'may not be more than 39',
  ],
  ['a subnet with host bits', '10.1.0.2', { subnet: '10.1.0.2/16' }, 'spec.subnet', SUBNET],
  [
    'a subnet in another spelling',
    'fd00--1',
    { address: 'fd00::1', subnet: 'fd00:0::/64' },
    'spec.subnet',
    SUBNET,
  ],
  ['a subnet without a prefix length', '10.1.0.2', { subnet: '10.1.0.0' }, 'spec.subnet', SUBNET],
  [
    'a subnet elsewhere',
    '10.1.0.2',
    { subnet: '10.2.0.0/16' },
    'spec.address',
    'spec.address must lie in spec.subnet',
  ],
  [
    'a subnet of the other family',
    '10.1.0.2',
    { subnet: 'fd00::/64' },
    'spec.address',
    'spec.address must lie in spec.subnet',
  ],
  ['a held lease that was released', '10.1.0.2', { released: RESTING.released }, 'spec.phase', TIMES],
  ['a held lease with an end', '10.1.0.2', { until: RESTING.until }, 'spec.phase', TIMES],
  [
    'a resting lease that was not released',
    '10.1.0.2',
    { phase: 'Resting', until: RESTING.until },
    'spec.phase',
    TIMES,
  ],
  [
    'a sticky lease without an end',
    '10.1.0.2',
    { phase: 'Sticky', released: RESTING.released },
    'spec.phase',
    TIMES,
  ],
  [
    'an end before the release',
    '10.1.0.2',
    { ...RESTING, until: '2020-01-01T00:00:00Z' },
    'spec.until',
    'spec.until must not be before spec.released',
  ],
  ['another phase', '10.1.0.2', { phase: 'Free' }, 'spec.phase', 'Unsupported value: "Free"'],
  [
    'a time that is none',
    '10.1.0.2',
    { acquired: 'yesterday' },
    'spec.acquired',
    'must be of type date-time',
  ],
  [
    'a time with a space in it',
    '10.1.0.2',
    { renewed: '2026-01-02 03:04:05Z' },
    'spec.renewed',
    'should match',
  ],
  ['no node', '10.1.0.2', { node: '' }, 'spec.node', 'should be at least 1'],
  ['a node by a name that no Node can have', '10.1.0.2', { node: 'Worker_1' }, 'spec.node', 'should match'],
  ['a node by a name with a hyphen at its end', '10.1.0.2', { node: 'w1-' }, 'spec.node', 'should match'],
  ['no network', '10.1.0.2', { network: undefined }, 'spec.network', 'Required value'],
  ['no owner', '10.1.0.2', { owner: undefined }, 'spec.owner', 'Required value'],
  [
    'an owner without a UID',
    '10.1.0.2',
    { owner: { ...owner, uid: undefined } },
    'spec.owner.uid',
    'Required value',
  ],
  [
    'an owner with an empty UID',
    '10.1.0.2',
    { owner: { ...owner, uid: '' } },
    'spec.owner.uid',
    'should be at least 1',
  ],
  [
    'an interface that the kernel has not',
    '10.1.0.2',
    { owner: { ...owner, interface: 'i'.repeat(16) } },
    'spec.owner.interface',
    'may not be more than 15',
  ],
  [
    'a container ID that never ends',
    '10.1.0.2',
    { owner: { ...owner, containerID: 'c'.repeat(254) } },
    'spec.owner.containerID',
    'may not be more than 253',
  ],
  [
    'a domain that never ends',
    '10.1.0.2',
    { domain: 'd'.repeat(321) },
    'spec.domain',
    'may not be more than 320',
  ],
  [
    'a negative delay',
    '10.1.0.2',
    { reuseDelaySeconds: -1 },
    'spec.reuseDelaySeconds',
    'should be greater than or equal to 0',
  ],
  ['half a second', '10.1.0.2', { stickySeconds: 0.5 }, 'spec.stickySeconds', 'must be of type int'],
])('%s is refused', async (_, name, change, field, message) => {
  const good = leaseObject();
  const found = await refusals({ ...good, metadata: { name }, spec: { ...good.spec, ...change } });
  expect(found).toContainEqual([field, expect.stringContaining(message)]);
});

test('the name that a claim gives any address in any domain is the one that is taken', async () => {
  const domain = fc.oneof(
    fc.constant(''),
    fc.stringMatching(/^[a-z0-9-]{1,8}$/),
    fc.string({ minLength: 1, maxLength: 12 }),
  );
  const address = fc
    .oneof(fc.ipV4(), fc.ipV6())
    .map(canonicalAddress)
    .filter((text) => !text.startsWith('::ffff:'));
  const lease = fc
    .record({ domain, address })
    .map((change) => leaseObject({ ...change, subnet: change.address.includes(':') ? '::/0' : '0.0.0.0/0' }));
  const anyLease = fc.asyncProperty(lease, async (object) => {
    expect(await refusals(object)).toEqual([]);
  });
  await fc.assert(anyLease, { numRuns: 60 });
});

test('keys that are not in the schema are dropped', async () => {
  const { metadata, spec } = leaseObject();
  const object = {
    ...leaseObject(),
    spec: { ...spec, colour: 'red', owner: { ...owner, age: 1 } },
    status: { a: 1 },
  };
  await cluster.api('POST', LEASES_PATH, object);
  const found = await cluster.api('GET', `${LEASES_PATH}/${metadata.name}`);
  await cluster.api('DELETE', `${LEASES_PATH}/${metadata.name}`);
  expect({ spec: found.spec, status: found.status }).toEqual({ spec, status: undefined });
});
