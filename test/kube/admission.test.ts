// deploy/admission.yaml: who may do what to whose lease.
import { beforeAll, describe, expect, test } from 'vitest';
import type { IpLease, IpLeaseSpec } from '../../ipam/ip-lease.ts';
import { type Admission, type Caller, manifoldAdmission } from '../kit/admission.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject, RESTING } from '../kit/lease-object.ts';

let admission: Admission;
beforeAll(async () => {
  admission = await manifoldAdmission(await sharedCluster());
});

const held = (node: string): Partial<IpLeaseSpec> => ({ node });
const resting = (node: string): Partial<IpLeaseSpec> => ({ node, ...RESTING });
const sticky = (node: string): Partial<IpLeaseSpec> => ({ node, ...RESTING, phase: 'Sticky' });
const another = { uid: 'u9', interface: 'net1', containerID: 'c9' };

const UNBOUND =
  'the token names no node: use one that is bound to a pod, or to a node (kubectl create token manifold-';
const ELSEWHERE =
  'a node claims addresses for itself alone, and the token is of node n1, the lease of node n2: set "nodeName"';
const HOLDS =
  'node n2 holds the address: only one that was freed can be taken over; "manifold leases why 10.1.0.2"';
const GIVES = 'a lease of node n1 cannot be made one of node n2: end it';
const NOT_PLUGINS = 'a lease of node n2 is none of the plugins of node n1: the agents end it';
const NOT_HOLDER = 'are ended by its own agent, or by the one that reclaims: that is the agent of node n';
const ONLY_ENDS = 'a lease of another node can be ended and nothing else';

describe('CREATE', () => {
  test.each<[Caller, string, string]>([
    ['plugin-1', 'n1', 'admitted'],
    ['agent-1', 'n1', 'admitted'],
    ['node-bound-1', 'n1', 'admitted'],
    ['plugin-1', 'n2', ELSEWHERE],
    ['agent-1', 'n2', ELSEWHERE],
    ['node-bound-1', 'n2', ELSEWHERE],
    ['plugin-nowhere', 'n1', UNBOUND],
    ['admin', 'n2', 'admitted'],
  ])('by %s for node %s: %s', async (caller, node, message) => {
    const refusal = await admission.refusalOf(
      caller,
      'POST',
      `${LEASES_PATH}?dryRun=All`,
      leaseObject({ node }),
    );
    expect(refusal ?? 'admitted').toContain(message);
  });
});

type Change = [Caller, string, Partial<IpLeaseSpec>, Partial<IpLeaseSpec> | 'DELETE', string];

/** What is said of a change of a lease, which is there as `before`. Nothing is kept. */
async function refusalOfChange([caller, , before, after]: Change): Promise<string | undefined> {
  const lease = leaseObject(before);
  const path = `${LEASES_PATH}/${lease.metadata.name}`;
  const { metadata } = await admission.cluster.api('POST', LEASES_PATH, lease);
  try {
    if (after === 'DELETE') return await admission.refusalOf(caller, 'DELETE', `${path}?dryRun=All`);
    const body: IpLease = { ...leaseObject({ ...before, ...after }), metadata };
    return await admission.refusalOf(caller, 'PUT', `${path}?dryRun=All`, body);
  } finally {
    await admission.cluster.api('DELETE', path);
  }
}

describe('while the agent of another node reclaims', () => {
  beforeAll(() => admission.setReclaimer('n3'));

  test.each<Change>([
    ['plugin-1', 'a release of its own', held('n1'), RESTING, 'admitted'],
    ['plugin-1', 'a deletion of its own', held('n1'), 'DELETE', 'admitted'],
    ['plugin-1', 'a deletion of its own resting one', resting('n1'), 'DELETE', 'admitted'],
    ['plugin-1', 'a take-over of its own resting one', resting('n1'), { owner: another }, 'admitted'],
    ['node-bound-1', 'a release of its own', held('n1'), RESTING, 'admitted'],
    ['agent-1', 'a renewal of its own', held('n1'), { renewed: '2026-02-01T00:00:00Z' }, 'admitted'],
    ['agent-1', 'a deletion of its own', held('n1'), 'DELETE', 'admitted'],
    [
      'plugin-1',
      'a take-over of another node’s resting one',
      resting('n2'),
      { node: 'n1', owner: another },
      'admitted',
    ],
    [
      'plugin-1',
      'a take-over of another node’s sticky one',
      sticky('n2'),
      { node: 'n1', owner: another },
      'admitted',
    ],
    ['plugin-1', 'a take-over of another node’s held one', held('n2'), { node: 'n1' }, HOLDS],
    ['agent-1', 'a take-over of another node’s held one', held('n2'), { node: 'n1' }, HOLDS],
    ['plugin-1', 'a gift to another node', held('n1'), { node: 'n2' }, GIVES],
    ['agent-1', 'a gift to another node', resting('n1'), { node: 'n2' }, GIVES],
    ['plugin-1', 'a release of another node’s', held('n2'), RESTING, NOT_PLUGINS],
    ['plugin-1', 'a change of another node’s resting one', resting('n2'), { network: 'x' }, NOT_PLUGINS],
    ['plugin-1', 'a deletion of another node’s', held('n2'), 'DELETE', NOT_PLUGINS],
    ['plugin-1', 'a deletion of another node’s resting one', resting('n2'), 'DELETE', NOT_PLUGINS],
    ['agent-1', 'a release of another node’s', held('n2'), RESTING, NOT_HOLDER],
    ['agent-1', 'a deletion of another node’s resting one', resting('n2'), 'DELETE', NOT_HOLDER],
    ['plugin-nowhere', 'a release', held('n1'), RESTING, UNBOUND],
    ['agent-nowhere', 'a deletion', held('n1'), 'DELETE', UNBOUND],
    ['admin', 'a deletion', held('n1'), 'DELETE', 'admitted'],
    ['admin', 'a move', held('n1'), { node: 'n2' }, 'admitted'],
  ])('by %s: %s', async (...change) => {
    expect((await refusalOfChange(change)) ?? 'admitted').toContain(change[4]);
  });
});

describe('while the agent of node n1 reclaims', () => {
  beforeAll(() => admission.setReclaimer('n1'));

  test.each<Change>([
    ['agent-1', 'a release of another node’s', held('n2'), RESTING, 'admitted'],
    ['agent-1', 'a release of a StatefulSet’s', held('n2'), { ...RESTING, phase: 'Sticky' }, 'admitted'],
    ['agent-1', 'another end of a rest', resting('n2'), { until: '2026-03-01T00:00:00Z' }, 'admitted'],
    ['agent-1', 'a deletion of another node’s', held('n2'), 'DELETE', 'admitted'],
    ['agent-1', 'a deletion of another node’s resting one', resting('n2'), 'DELETE', 'admitted'],
    [
      'agent-1',
      'a release that renews',
      held('n2'),
      { ...RESTING, renewed: '2026-02-01T00:00:00Z' },
      ONLY_ENDS,
    ],
    ['agent-1', 'a release that names another pod', held('n2'), { ...RESTING, owner: another }, ONLY_ENDS],
    ['agent-1', 'a release that adds a delay', held('n2'), { ...RESTING, reuseDelaySeconds: 9 }, ONLY_ENDS],
    [
      'agent-1',
      'a release that drops a delay',
      { ...held('n2'), reuseDelaySeconds: 9 },
      { ...RESTING, reuseDelaySeconds: undefined } as object,
      ONLY_ENDS,
    ],
    ['agent-1', 'a renewal', held('n2'), { renewed: '2026-02-01T00:00:00Z' }, ONLY_ENDS],
    [
      'agent-1',
      'a claim in another node’s name',
      resting('n2'),
      { phase: 'Held', released: undefined, until: undefined } as object,
      ONLY_ENDS,
    ],
    ['agent-1', 'a take-over of a held one', held('n2'), { node: 'n1' }, HOLDS],
    ['agent-2', 'a release of another node’s', held('n1'), RESTING, NOT_HOLDER],
    ['agent-2', 'a deletion of another node’s', held('n1'), 'DELETE', NOT_HOLDER],
    ['agent-2', 'a release of its own', held('n2'), RESTING, 'admitted'],
    ['plugin-1', 'a deletion of another node’s', held('n2'), 'DELETE', NOT_PLUGINS],
    ['plugin-2', 'a release of its own', held('n2'), RESTING, 'admitted'],
    ['agent-nowhere', 'a deletion', held('n2'), 'DELETE', UNBOUND],
  ])('by %s: %s', async (...change) => {
    expect((await refusalOfChange(change)) ?? 'admitted').toContain(change[4]);
  });
});
