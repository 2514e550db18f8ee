// The definition of IPLease: which changes of a lease the API server takes and which it refuses.
import { beforeAll, describe, expect, test } from 'vitest';
import type { IpLease, IpLeaseSpec } from '../../ipam/ip-lease.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { causesOf, LEASES_PATH, leaseObject, RESTING } from '../kit/lease-object.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml']);
});

const owner = leaseObject().spec.owner;

describe('a change', () => {
  const UNCHANGED = 'must not change; create another lease';
  const HOLDER =
    'spec.owner.uid, spec.owner.interface and spec.network must not change while the lease is held; release it first';
  const next = { ...owner, uid: 'u2', containerID: 'c2' };
  const [held, resting] = [{}, RESTING];

  test.each<[string, Partial<IpLeaseSpec>, Partial<IpLeaseSpec>]>([
    ['a new sandbox of the owner', held, { owner: { ...owner, containerID: 'c2' } }],
    ['a renewal', held, { renewed: '2026-01-03T00:00:00Z' }],
    ['a release', held, RESTING],
    ['a release for a StatefulSet', held, { ...RESTING, phase: 'Sticky' }],
    ['a take-over of a resting one by another pod', resting, { owner: next, network: 'rail1', node: 'n2' }],
    ['a take-over by a network of another subnet', resting, { owner: next, subnet: '10.0.0.0/8' }],
    ['another end of a rest', resting, { ...RESTING, until: '2026-02-01T00:00:00Z' }],
  ])('that is %s is taken', async (_, before, after) => {
    expect(await refusalsOfChange(leaseObject(before), leaseObject(after))).toEqual([]);
  });

  test.each<[string, Partial<IpLeaseSpec>, Record<string, unknown>, string, string]>([
    ['of the address', held, { address: '10.1.0.3' }, 'spec.address', UNCHANGED],
    ['of the address of a freed one', resting, { address: '10.1.0.3' }, 'spec.address', UNCHANGED],
    ['of the domain', resting, { domain: 'blue' }, 'spec.domain', UNCHANGED],
    [
      'of the family of the subnet',
      resting,
      { subnet: 'fd00::/64' },
      'spec.address',
      'must lie in spec.subnet',
    ],
    ['of the owner while it is held', held, { owner: next }, 'spec.owner', HOLDER],
    [
      'of the interface while it is held',
      held,
      { owner: { ...owner, interface: 'net2' } },
      'spec.owner',
      HOLDER,
    ],
    ['of the network while it is held', held, { network: 'rail1' }, 'spec.owner', HOLDER],
    ['of a held one that drops the owner', held, { owner: undefined }, 'spec.owner', 'Required value'],
  ])('%s is refused', async (_, before, after, field, message) => {
    const good = leaseObject(before);
    const changed = { ...leaseObject(), metadata: good.metadata, spec: { ...leaseObject().spec, ...after } };
    expect(await refusalsOfChange(good, changed)).toContainEqual([field, expect.stringContaining(message)]);
  });

  async function refusalsOfChange(before: IpLease, after: { metadata: object }): Promise<[string, string][]> {
    const path = `${LEASES_PATH}/${before.metadata.name}`;
    const { metadata } = await cluster.api('POST', LEASES_PATH, before);
    const body = { ...after, metadata: { ...after.metadata, resourceVersion: metadata.resourceVersion } };
    const answer = await cluster.request({ method: 'PUT', path: `${path}?dryRun=All`, body });
    await cluster.api('DELETE', path);
    return answer.status === 200 ? [] : causesOf(answer.body);
  }
});
