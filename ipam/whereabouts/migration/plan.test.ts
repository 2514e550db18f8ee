import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../pkg/ip/address.ts';
import { type IpLease, type IpLeaseSpec, newIpLease } from '../../ip-lease.ts';
import { leaseName } from '../../lease-name.ts';
import type { TheirAllocation, TheirPool, TheirReservation, TheirSlicePool } from '../objects.ts';
import { reservationFor } from '../our-reservation.ts';
import { entriesOf } from './entries.ts';
import { definitionFacts, type PodFact, podFact } from './facts.ts';
import { MIGRATED_LABEL, planMigration } from './plan.ts';

const NOW = Date.parse('2026-01-02T03:04:05.000Z');

const pool = (name: string, range: string, allocations: Record<string, TheirAllocation>): TheirPool => ({
  metadata: { name, namespace: 'kube-system' },
  spec: { range, allocations },
});
const reservation = (name: string, podref: string, ifname?: string): TheirReservation => ({
  metadata: { name, namespace: 'kube-system' },
  spec: { podref, ...(ifname !== undefined && { ifname }) },
});
const pod = (podref: string, more: Partial<PodFact> = {}): PodFact => ({
  ...{ namespace: podref.split('/')[0] ?? '', name: podref.split('/')[1] ?? '', uid: `uid-${podref}` },
  ...{ node: 'n1', isOver: false, interfaces: undefined },
  ...more,
});
const on = (...addresses: string[]) => ({ interfaces: [{ network: 'a/rail0', ifname: 'net1', addresses }] });
const definition = (config: object) =>
  definitionFacts({ metadata: { name: 'rail0', namespace: 'a' }, spec: { config: JSON.stringify(config) } });

interface World {
  readonly pools?: readonly TheirPool[];
  readonly reservations?: readonly TheirReservation[];
  readonly slices?: readonly TheirSlicePool[];
  readonly definitions?: ReturnType<typeof definition>;
  readonly pods?: readonly PodFact[];
  readonly leases?: readonly IpLease[];
}

function plan({
  pools = [],
  reservations = [],
  slices = [],
  definitions = [],
  pods = [],
  leases = [],
}: World) {
  const found = entriesOf({ pools, reservations, slices, definitions });
  return planMigration({ found, definitions, pods, leases, now: NOW, restSeconds: 3600 });
}

/** "create 10.0.0.5 Held uid-a/p net1 n1 c1" */
const actions = (world: World) =>
  plan(world).actions.map(({ do: verb, lease: { spec } }) =>
    [
      verb,
      spec.address,
      spec.phase,
      spec.owner.uid,
      spec.owner.interface,
      spec.node,
      spec.owner.containerID,
    ].join(' '),
  );
const problems = (world: World) => plan(world).problems.map(({ kind, text }) => `${kind}: ${text}`);

const A = { id: 'c1', podref: 'a/p', ifname: 'net1' };
const whole = pool('10.0.0.0-24', '10.0.0.0/24', { 5: A });
const reserved = reservation('10.0.0.5', 'a/p', 'net1');

describe('an allocation', () => {
  test('of a pod that lives is held by its UID on its node', () => {
    const world = { pools: [whole], reservations: [reserved], pods: [pod('a/p', on('10.0.0.5'))] };
    expect(actions(world)).toEqual(['create 10.0.0.5 Held uid-a/p net1 n1 c1']);
    expect(problems(world)).toEqual([]);
    expect(plan(world).actions[0]?.lease).toMatchObject({
      metadata: { name: '10.0.0.5', labels: { [MIGRATED_LABEL]: 'true' } },
      spec: {
        subnet: '10.0.0.0/24',
        domain: '',
        network: 'rail0',
        owner: { podNamespace: 'a', podName: 'p' },
      },
    });
  });

  test.each([
    ['a pod that is not there', []],
    ['a pod that has ended', [pod('a/p', { isOver: true })]],
  ])('of %s rests, and is not given before its time', (_, pods) => {
    const [action] = plan({ pools: [whole], reservations: [reserved], pods }).actions;
    expect(action?.lease.spec).toMatchObject({
      ...{ phase: 'Resting', released: '2026-01-02T03:04:05.000Z', until: '2026-01-02T04:04:05.000Z' },
      ...{ reuseDelaySeconds: 3600, owner: { uid: 'c1' } },
    });
  });

  test('that its living pod does not have rests, and is named', () => {
    const world = { pools: [whole], reservations: [reserved], pods: [pod('a/p', on('10.0.0.6'))] };
    expect(actions(world)).toEqual(['create 10.0.0.5 Resting c1 net1 unknown c1']);
    expect(problems(world)).toEqual([
      'not on its pod: 10.0.0.5 of a/p (pool kube-system/10.0.0.0-24): that pod lives, without this address',
    ]);
  });

  test('of a pod whose network-status says nothing is held: it may be being attached', () => {
    expect(actions({ pools: [whole], reservations: [reserved], pods: [pod('a/p')] })).toEqual([
      'create 10.0.0.5 Held uid-a/p net1 n1 c1',
    ]);
  });

  test('without an interface has that of its pod’s status', () => {
    const pools = [pool('10.0.0.0-24', '10.0.0.0/24', { 5: { id: 'c1', podref: 'a/p' } })];
    const interfaces = [{ network: 'a/rail0', ifname: 'net7', addresses: ['10.0.0.5'] }];
    expect(actions({ pools, reservations: [reserved], pods: [pod('a/p', { interfaces })] })).toEqual([
      'create 10.0.0.5 Held uid-a/p net7 n1 c1',
    ]);
    expect(actions({ pools, reservations: [reserved] })).toEqual([
      'create 10.0.0.5 Resting c1 unknown unknown c1',
    ]);
  });

  test('of a network with a name is in its domain, in IPv6 too', () => {
    const pools = [
      pool('blue-10.0.0.0-24', '10.0.0.0/24', { 5: A }),
      pool('blue-fd00---64', 'fd00::/64', { 5: A }),
    ];
    const leases = plan({ pools }).actions.map(({ lease }) => lease);
    expect(leases.map(({ metadata }) => metadata.name)).toEqual(['blue.10.0.0.5', 'blue.fd00--5']);
    expect(leases.map(({ spec }) => spec.domain)).toEqual(['blue', 'blue']);
  });

  test('in the slice of a node is of the range that the slice was cut from', () => {
    const slices: TheirSlicePool[] = [
      {
        metadata: { name: 'blue', namespace: 'kube-system' },
        spec: { range: '10.0.0.0/16', sliceSize: '/26' },
        status: { allocations: [{ nodeName: 'worker-1', sliceRange: '10.0.0.64/26' }] },
      },
    ];
    const pools = [
      pool('blue-worker-1-10.0.0.64-26', '10.0.0.64/26', { 1: A }),
      pool('worker-1-10.0.0.64-26', '10.0.0.64/26', { 2: A }),
    ];
    expect(
      plan({ pools, slices }).actions.map(({ lease: { metadata, spec } }) => [
        metadata.name,
        spec.subnet,
        spec.node,
      ]),
    ).toEqual([
      ['blue.10.0.0.65', '10.0.0.0/16', 'worker-1'],
      ['10.0.0.66', '10.0.0.0/16', 'worker-1'],
    ]);
  });

  test('of ranges that do not overlap is in the domain of its subnet, and cannot be mixed', () => {
    const definitions = definition({
      plugins: [{ ipam: { type: 'whereabouts', range: '10.0.0.9/24', enable_overlapping_ranges: false } }],
    });
    const world = { pools: [whole], definitions };
    expect(plan(world).actions[0]?.lease.spec).toMatchObject({ domain: '@10.0.0.0/24', network: 'rail0' });
    expect(problems(world)).toEqual([
      expect.stringMatching(/^cannot be mixed: definition a\/rail0 \(10\.0\.0\.0\/24\)/),
    ]);
  });

  test('whose offset or range leads nowhere is named, and the others are migrated', () => {
    const pools = [
      pool('10.0.0.0-24', '10.0.0.0/24', { 5: A, 999: A, x: A }),
      pool('nonsense', 'nonsense', { 1: A }),
      pool('other-name', '10.9.0.0/24', { 1: A }),
    ];
    const world = {
      pools,
      reservations: [reserved, reservation('no-address', 'a/p'), reservation('10.9.0.1', 'a/p')],
    };
    expect(actions(world)).toHaveLength(2);
    expect(problems(world).map((text) => text.split(' ').slice(0, 4).join(' '))).toEqual([
      'unreadable: the offset "999"',
      'unreadable: the offset "x"',
      'unreadable: the range of',
      'unreadable: the name of',
      'unreadable: the name of',
    ]);
  });
});

describe('reservations', () => {
  test('that no pool knows are migrated, with the subnet that is known, or none', () => {
    const reservations = [reservation('10.0.0.9', 'a/q', 'net2'), reservation('10.7.0.1', 'a/r')];
    const world = { pools: [whole], reservations: [reserved, ...reservations], pods: [pod('a/q')] };
    expect(
      plan(world)
        .actions.slice(1)
        .map(({ lease: { spec } }) => [spec.address, spec.subnet, spec.phase]),
    ).toEqual([
      ['10.0.0.9', '10.0.0.0/24', 'Held'],
      ['10.7.0.1', '10.7.0.1/32', 'Resting'],
    ]);
    expect(problems(world).map((text) => text.split(':')[0])).toEqual(['no pool entry', 'no pool entry']);
  });

  test('that are missing are named', () => {
    expect(problems({ pools: [whole] })).toEqual([
      'no reservation: 10.0.0.5 of a/p (pool kube-system/10.0.0.0-24) has no reservation',
    ]);
  });

  test('whose name may mean two addresses mean the one that a pool has', () => {
    const pools = [pool('beef-fd00---64', 'fd00::/64', { 5: A })];
    expect(actions({ pools, reservations: [reservation('beef-fd00--5', 'a/p', 'net1')] })).toHaveLength(1);
    expect(problems({ pools, reservations: [reservation('beef-fd00--5', 'a/p', 'net1')] })).toEqual([]);
  });

  test('that name another pod than the pool do not take it from the one that lives', () => {
    const world = { pools: [whole], reservations: [reservation('10.0.0.5', 'a/dead')], pods: [pod('a/p')] };
    expect(actions(world)).toEqual(['create 10.0.0.5 Held uid-a/p net1 n1 c1']);
    expect(problems(world)).toEqual([expect.stringMatching(/^contradiction: /)]);
  });

  test('of ours are counted, and none of theirs', () => {
    const claimant = {
      domain: '',
      address: '10.0.0.7',
      owner: 'u',
      ifname: 'net1',
      containerId: 'c',
      pod: {},
    };
    const { counts, actions: none } = plan({ reservations: [reservationFor('10.0.0.7', claimant, NOW)] });
    expect({ counts, none }).toEqual({
      counts: { allocations: 0, live: 0, orphaned: 0, present: 0, ours: 1 },
      none: [],
    });
  });
});

test('an address that two living pods have is double, whether by pools or by our lease', () => {
  const wide = pool('10.0.0.0-16', '10.0.0.0/16', { 5: { id: 'c2', podref: 'a/q', ifname: 'net1' } });
  const pods = [pod('a/p'), pod('a/q')];
  expect(
    problems({ pools: [whole, wide], reservations: [reserved], pods }).filter((text) =>
      text.startsWith('double'),
    ),
  ).toEqual([
    'double: 10.0.0.5 of a/p (pool kube-system/10.0.0.0-24) is given twice: 10.0.0.5 of a/q (pool kube-system/10.0.0.0-16)',
  ]);
  const leases = [
    lease({
      owner: { podNamespace: 'a', podName: 'q', uid: 'uid-a/q', interface: 'net1', containerID: 'c2' },
    }),
  ];
  const world = { pools: [whole], reservations: [reserved], pods, leases };
  expect(problems(world)).toEqual([
    expect.stringMatching(/^double: 10\.0\.0\.5 is held by a\/q on node n1 \(lease 10\.0\.0\.5\)/),
  ]);
  expect(actions(world)).toEqual([]);
});

function lease(change: Partial<IpLeaseSpec>, labels: Record<string, string> = {}): IpLease {
  const spec: IpLeaseSpec = {
    ...{
      address: '10.0.0.5',
      subnet: '10.0.0.0/24',
      domain: '',
      network: 'rail0',
      node: 'n1',
      phase: 'Held',
    },
    owner: { podNamespace: 'a', podName: 'p', uid: 'uid-a/p', interface: 'net1', containerID: 'c1' },
    ...{ acquired: '2026-01-01T00:00:00.000Z', renewed: '2026-01-01T00:00:00.000Z' },
    ...change,
  };
  const made = newIpLease('10.0.0.5', spec);
  return { ...made, metadata: { ...made.metadata, labels, uid: 'l', resourceVersion: '7' } };
}
const MIGRATED = { [MIGRATED_LABEL]: 'true' };
const rests = {
  phase: 'Resting',
  released: '2026-01-01T00:00:00.000Z',
  until: '2026-01-01T00:01:00.000Z',
} as const;

describe('a lease that is there', () => {
  const world = { pools: [whole], reservations: [reserved], pods: [pod('a/p')] };

  test.each([
    ['made by an earlier run', lease({}, MIGRATED)],
    [
      'claimed by the same pod in another sandbox',
      lease({ owner: { ...lease({}).spec.owner, containerID: 'c9' } }),
    ],
  ])('is left as it is: %s', (_, found) => {
    expect(plan({ ...world, leases: [found] })).toMatchObject({ actions: [], counts: { present: 1 } });
  });

  test('of an earlier run follows its pod: a new one of its name, a new sandbox, a pod that was thought gone', () => {
    const old = { ...lease({}).spec.owner, uid: 'old' };
    for (const found of [
      lease({ owner: old }, MIGRATED),
      lease({ owner: { ...lease({}).spec.owner, containerID: 'c0' } }, MIGRATED),
      lease({ ...rests, owner: { ...old, uid: 'c1' } }, MIGRATED),
      lease(rests),
    ]) {
      expect(actions({ ...world, leases: [found] })).toEqual(['replace 10.0.0.5 Held uid-a/p net1 n1 c1']);
      expect(plan({ ...world, leases: [found] }).actions[0]?.lease.metadata).toMatchObject({
        uid: 'l',
        resourceVersion: '7',
      });
    }
  });

  test('of an earlier run whose allocation and pod are gone rests; one that is ours is no business of the migration', () => {
    expect(actions({ leases: [lease({}, MIGRATED)] })).toEqual(['rest 10.0.0.5 Resting uid-a/p net1 n1 c1']);
    expect(actions({ leases: [lease({}, MIGRATED)], pods: [pod('a/p')] })).toEqual([]);
    expect(actions({ leases: [lease({})] })).toEqual([]);
  });

  test('that rests is not made to rest again by an allocation of no pod', () => {
    expect(actions({ ...world, pods: [], leases: [lease(rests, MIGRATED)] })).toEqual([]);
  });
});

test('carried out, a plan leaves nothing to do; no address that was given is without a lease, and none is free', () => {
  const allocations = fc.dictionary(
    fc.integer({ min: 0, max: 12 }).map(String),
    fc.record({
      id: fc.constantFrom('c1', 'c2', 'c3'),
      podref: fc.constantFrom('a/p', 'a/q', 'b/p', 'b/gone'),
      ifname: fc.constantFrom('net1', 'net2'),
    }),
  );
  const ranges = [
    ['10.0.0.0-24', '10.0.0.0/24'],
    ['10.0.0.0-16', '10.0.0.0/16'],
    ['blue-10.0.0.0-24', '10.0.0.0/24'],
  ] as const;
  const world = fc.tuple(allocations, allocations, allocations, fc.boolean()).map(([a, b, c, lives]) => ({
    pools: [a, b, c].map((some, i) => pool(ranges[i]?.[0] ?? '', ranges[i]?.[1] ?? '', some)),
    pods: [pod('a/p', lives ? {} : { isOver: true }), pod('a/q'), pod('b/p')],
  }));
  fc.assert(
    fc.property(world, ({ pools, pods }) => {
      const leases = plan({ pools, pods }).actions.map(({ lease: made }) => ({
        ...made,
        metadata: { ...made.metadata, uid: 'l' },
      }));
      expect(new Set(leases.map(({ metadata }) => metadata.name)).size).toBe(leases.length);
      const given = entriesOf({ pools, reservations: [], slices: [], definitions: [] }).entries;
      const names = given.map(({ domain, address }) => leaseName(domain, address));
      expect(new Set(leases.map(({ metadata }) => metadata.name))).toEqual(new Set(names));
      for (const { spec } of leases)
        expect(spec.phase === 'Held' || spec.reuseDelaySeconds === 3600).toBe(true);
      expect(plan({ pools, pods, leases }).actions).toEqual([]);
      for (const { address } of given)
        expect(leases.map(({ spec }) => spec.address)).toContain(formatAddress(address));
    }),
  );
});

test('a pod is read with its network-status; a static one by the UID of its file', () => {
  const status = [{ name: 'a/rail0', interface: 'net1', ips: ['10.0.0.5', 'fd00:0::5/64', 'nonsense'] }, 7];
  const annotations = {
    'k8s.v1.cni.cncf.io/network-status': JSON.stringify(status),
    'kubernetes.io/config.mirror': 'h',
    'kubernetes.io/config.hash': 'h',
  };
  const raw = {
    metadata: { name: 'p', namespace: 'a', uid: 'mirror', annotations },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running' },
  };
  expect(podFact(raw)).toEqual({
    ...{ namespace: 'a', name: 'p', uid: 'h', node: 'n1', isOver: false },
    interfaces: [{ network: 'a/rail0', ifname: 'net1', addresses: ['10.0.0.5', 'fd00::5'] }],
  });
  const broken = {
    ...raw,
    metadata: { ...raw.metadata, annotations: { 'k8s.v1.cni.cncf.io/network-status': '{' } },
  };
  expect(podFact(broken)).toMatchObject({ uid: 'mirror', interfaces: undefined });
});
