import { expect, test } from 'vitest';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { KubeInMemory } from '../../test/kit/kube-in-memory.ts';
import { leaseObject } from '../../test/kit/lease-object.ts';
import { DEFAULT_TIMINGS } from './agent-deps.ts';
import { COORDINATION_LEASES, newCoordinationLease } from './coordination.ts';
import { heartbeatName, NODES } from './heartbeat.ts';
import { KnownNodes } from './known-nodes.ts';
import { NodeLife } from './node-life.ts';
import { Pace } from './pace.ts';
import { reclaimLost } from './reclaim-lost.ts';
import { SaidOnce } from './said-once.ts';
import { type SeenLease, seenLease } from './seen-lease.ts';
import { PODS } from './seen-pod.ts';
import { Suspects } from './suspects.ts';

const SECOND = 1000;
const SILENCE = 300 * SECOND;
const GONE = DEFAULT_TIMINGS.goneSilence;

/** A cluster of a few lines, and the agent that reclaims in it, with a clock that is turned by hand. */
class Lost {
  readonly cluster = new KubeInMemory();
  readonly client = this.cluster.client();
  readonly log: { readonly level: string; readonly event: string; readonly [key: string]: unknown }[] = [];
  readonly known = new KnownNodes();
  readonly #life = new NodeLife(DEFAULT_TIMINGS.pass);
  readonly #said = new SaidOnce();
  readonly #suspects = new Suspects();
  #nowMs = 0;

  async make(kind: 'node' | 'kubelet' | 'heartbeat' | 'heartbeat without Node', name: string): Promise<void> {
    const of = { kind: 'Node', apiVersion: 'v1', name, uid: 'u' };
    if (kind === 'node')
      await this.client.create(
        NODES,
        { apiVersion: 'v1', kind: 'Node', metadata: { name } },
        { isOurs: () => false },
      );
    else {
      const metadata = {
        name: kind === 'kubelet' ? name : heartbeatName(name),
        ...(kind === 'heartbeat' && { ownerReferences: [of] }),
      };
      await this.client.create(COORDINATION_LEASES, newCoordinationLease(metadata, {}), {
        isOurs: () => false,
      });
    }
  }

  remove(key: string): void {
    this.cluster.objects.delete(key);
  }

  /** @returns its UID */
  async pod(name: string, nodeName: string): Promise<string> {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName } };
    await this.client.create(PODS, pod, { isOurs: () => false });
    return this.cluster.objects.get(`pods/${name}`)?.metadata.uid ?? '';
  }

  async lease(address: string, node: string, owner: JsonObject): Promise<void> {
    const of = { uid: 'c', interface: 'net1', containerID: 'c', ...owner };
    await this.client.create(IP_LEASES, leaseObject({ address, node, owner: of }), { isOurs: () => false });
  }

  /** Passes of an agent, as often as it makes them. */
  async watch(forMs: number): Promise<void> {
    const until = this.#nowMs + forMs;
    for (; this.#nowMs <= until; this.#nowMs += DEFAULT_TIMINGS.pass) await this.#pass();
  }

  async #pass(): Promise<void> {
    const { items } = await this.client.list(IP_LEASES);
    const leases = items.flatMap((object): SeenLease[] => {
      const seen = seenLease(object);
      return seen === undefined ? [] : [seen];
    });
    await reclaimLost(
      {
        client: this.client,
        kernel: { openIfThere: () => undefined },
        openStore: () => undefined,
        namespaces: () => [],
        log: createLogger({ level: 'debug', sink: (line) => this.log.push(JSON.parse(line)) }),
        monotonicMs: () => this.#nowMs,
      },
      { nodeName: 'reclaimer', namespace: 'kube-system', nodeSilenceMs: SILENCE, timings: DEFAULT_TIMINGS },
      {
        ...{ leadership: { holds: true }, leases: { values: () => leases }, life: this.#life },
        ...{ known: this.known, said: this.#said, suspects: this.#suspects, pace: new Pace(1000) },
      },
      AbortSignal.timeout(10_000),
    );
  }

  held(): string[] {
    const leases = [...this.cluster.objects.values()].flatMap((object) => seenLease(object) ?? []);
    return leases.flatMap(({ phase, address }) => (phase === 'Held' ? [address] : []));
  }

  warned() {
    return this.log.filter(({ level }) => level === 'warn');
  }
}

const UID = '5f0c6f5e-0d0c-4b43-9d0e-1d1f1a1b1c1d';
const [A, B, C, D] = ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4'] as const;
const LONG = 2 * (SILENCE + GONE);

test('where the configuration calls a node otherwise than its Node, no lease of it ends, and one line says so', async () => {
  const lost = new Lost();
  await lost.make('node', 'w1.example.com');
  await lost.make('kubelet', 'w1.example.com');
  const uid = await lost.pod('lives', 'w1.example.com');
  await lost.pod('no-uid', 'w1.example.com');
  await lost.lease(A, 'w1', { podNamespace: 'a', podName: 'lives', uid });
  await lost.lease(B, 'w1', { podNamespace: 'a', podName: 'no-uid' });
  await lost.lease(C, 'w1', {});
  await lost.lease(D, 'w1', { podNamespace: 'a', podName: 'ends', uid: UID });
  await lost.watch(LONG);
  expect(lost.held()).toEqual([A, B, C, D]);
  expect(lost.warned()).toEqual([
    expect.objectContaining({
      ...{ node: 'w1', leases: 4, pod: 'a/lives', isOnNode: 'w1.example.com' },
      hint: expect.stringContaining('"nodeName"'),
    }),
  ]);
});

test('of a node that nobody has seen only those leases end whose pod is known by UID to be gone, and late', async () => {
  const lost = new Lost();
  await lost.lease(A, 'w1', { podNamespace: 'a', podName: 'ends', uid: UID });
  await lost.lease(B, 'w1', { podNamespace: 'a', podName: 'no-uid' });
  await lost.lease(C, 'w1', {});
  await lost.lease(D, 'w1', {
    podNamespace: 'a',
    podName: 'static',
    uid: 'd41d8cd98f00b204e9800998ecf8427e',
  });
  await lost.watch(SILENCE);
  expect(lost.held()).toEqual([A, B, C, D]);
  await lost.watch(SILENCE);
  expect(lost.held()).toEqual([B, C, D]);
  expect(lost.warned().map(({ address }) => address)).toEqual([B, C, D]);
  expect(lost.warned()[0]?.hint).toContain(`manifold leases release ${B} --force`);
});

test.each([
  ['node', 'nodes/w1'],
  ['kubelet', 'leases/w1'],
  ['heartbeat', `leases/${heartbeatName('w1')}`],
] as const)('a node whose %s was seen, and that is deleted, leaves all its leases', async (kind, key) => {
  const lost = new Lost();
  await lost.make(kind, 'w1');
  await lost.lease(A, 'w1', { podNamespace: 'a', podName: 'ends', uid: UID });
  await lost.lease(B, 'w1', { podNamespace: 'a', podName: 'no-uid' });
  await lost.lease(C, 'w1', {});
  await lost.watch(2 * GONE);
  lost.remove(key);
  await lost.watch(2 * GONE);
  expect(lost.held()).toEqual([]);
});

test('the heartbeat of an agent that belongs to no Node does not show that there was one', async () => {
  const lost = new Lost();
  await lost.make('heartbeat without Node', 'w1');
  await lost.lease(C, 'w1', {});
  await lost.watch(LONG);
  expect(lost.held()).toEqual([C]);
});

test.each([
  ['the runtime gave no UID, and a pod of its name is there, whatever its node', { podNamespace: 'a' }],
  ['the runtime gave no namespace', { uid: UID }],
])('a lease of a deleted node is kept, and said once, when %s', async (_, owner) => {
  const lost = new Lost();
  lost.known.see('w1');
  await lost.pod('p', 'another');
  await lost.lease(A, 'w1', { ...owner, podName: 'p' });
  await lost.watch(LONG);
  expect(lost.held()).toEqual([A]);
  expect(lost.warned()).toEqual([expect.objectContaining({ address: A })]);
});

test('of two machines under one name, one of which is deleted, the pods that live on the other keep all leases', async () => {
  const lost = new Lost();
  lost.known.see('w1');
  const uid = await lost.pod('p', 'w2');
  await lost.lease(A, 'w1', { podNamespace: 'a', podName: 'p', uid });
  await lost.lease(B, 'w1', {});
  await lost.watch(LONG);
  expect(lost.held()).toEqual([A, B]);
});
