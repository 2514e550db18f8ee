// Random sequences of ADD, DEL, late DEL, deaths, boots, outages, lost nodes and reclaim, over three nodes and ranges that
// are too small, against a model of who has been told what.
import { env } from 'node:process';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { claimRequestOf } from '../../ipam/claims.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { ClaimRequest } from '../../ipam/lease-store.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { readAll, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import type { Fault } from '../kit/fault-proxy/fault.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { heldBy, Killed, ModelNode } from '../kit/model-node.ts';

const LONGEST_MS = Number(env.MANIFOLD_TEST_PROPERTY_MS ?? 30_000);
const PODS = 9;

/** Six addresses of IPv4 for nine pods, two of them in all definitions. */
const NETWORKS: readonly JsonObject[] = [
  { range: '10.240.0.1-10.240.0.4/27' },
  {
    ipRanges: [{ range: '10.240.0.3-10.240.0.6/28' }, { range: 'fd24::/125' }],
    order: 'spread',
    reuseDelay: '0s',
  },
  { range: '10.240.0.1-10.240.0.4/27', sticky: '10m' },
];

const FAULTS: Readonly<Record<string, Fault>> = {
  'answer lost': { kind: 'lose-answer' },
  'answer lost, and down': { kind: 'lose-answer', afterwards: 'refuse' },
  reset: { kind: 'drop' },
  down: { kind: 'pass', afterwards: 'refuse' },
};

const node = fc.nat({ max: 2 });
const pod = fc.nat({ max: PODS - 1 });
/** What happens to one call: its process dies, or one of its writes has bad luck. */
const rarely = <T>(weight: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const luck = fc.record({
  dies: rarely(4, fc.integer({ min: 1, max: 7 })),
  fault: rarely(9, fc.constantFrom('answer lost', 'answer lost, and down', 'reset', 'down')),
});
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('add' as const), pod, node, luck }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('del' as const), pod, luck }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('delete pod' as const), pod, withSandbox: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('late del' as const), luck }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('boot' as const, 'lose' as const, 'return' as const), node }),
  },
  // An outage makes each call wait: it is rare, and short.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('away' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('back' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('reclaim' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
type Luck = typeof luck extends fc.Arbitrary<infer L> ? L : never;

interface Sandbox {
  readonly container: string;
  readonly uid: string;
  readonly pod: number;
  readonly node: number;
}

/** An owner that was told it has these addresses, in that sandbox. */
interface Told {
  readonly sandbox: Sandbox;
  readonly addresses: readonly string[];
}

let cluster: Cluster;
let admin: KubeClient;
let proxy: FaultProxy;
let namespace: string;
let nodes: ModelNode[];

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  proxy = await FaultProxy.start(cluster);
  namespace = await createNamespace(cluster);
});
afterAll(async () => {
  admin.close();
  await proxy.close();
});
beforeEach(() => {
  nodes = ['m0', 'm1', 'm2'].map((name) => new ModelNode(proxy.kubeconfig(), name));
});
afterEach(() => {
  for (const one of nodes) one[Symbol.dispose]();
});

class Model {
  /** The pods that the API server has, with the sandbox that the runtime made last. */
  readonly #pods = new Map<number, { uid: string; node: number; sandbox?: Sandbox }>();
  /** By UID: whoever may still use, or rely on, what it was told. */
  readonly #told = new Map<string, Told>();
  /** Sandboxes that the runtime has still to DEL. */
  readonly #late: Sandbox[] = [];
  readonly #lost = new Set<number>();
  #isAway = false;
  #count = 0;

  async run(one: Step): Promise<void> {
    if (one.do === 'add') await this.#add(one.pod, one.node, one.luck);
    else if (one.do === 'del') await this.#endPod(one.pod, one.luck);
    else if (one.do === 'delete pod') await this.#deletePod(one.pod, one.withSandbox);
    else if (one.do === 'late del') await this.#lateDel(one.luck);
    else if (one.do === 'away' || one.do === 'back') await this.#setAway(one.do === 'away');
    else if (one.do === 'reclaim') await this.reclaim();
    else if (one.do === 'return') this.#lost.delete(one.node);
    else if (one.do === 'boot' || one.do === 'lose') this.#boot(one.node, one.do === 'lose');
    await this.#check();
  }

  /** Everything comes back, all pods are deleted. @param withDel the runtime ends its sandboxes as well */
  async end(withDel: boolean): Promise<void> {
    this.#lost.clear();
    await this.#setAway(false);
    for (const pod of [...this.#pods.keys()]) await this.#deletePod(pod, true);
    const none = { dies: null, fault: null };
    while (withDel && this.#late.length > 0) await this.#lateDel(none);
    for (const one of nodes) one.namespaces.clear();
    // On a busy machine an agent, too, is told to try later.
    for (let tries = 0; tries < 20 && (await whatIsLeft()).length > 0; tries++) await this.reclaim();
  }

  async reclaim(): Promise<void> {
    for (const [index, one] of nodes.entries()) {
      if (this.#lost.has(index)) continue;
      try {
        await one.reclaim();
        for (const lost of this.#lost) await one.reclaimFor(`m${lost}`);
      } catch (error) {
        if (!isManifoldError(error, 'try-later')) throw error;
      }
    }
  }

  async #add(number: number, wanted: number, luck: Luck): Promise<void> {
    let pod = this.#pods.get(number);
    if (pod === undefined) {
      const sketch = { namespace, name: `web-${number}`, node: `m${wanted}` };
      pod = { uid: await createPod(cluster, sketch), node: wanted };
      this.#pods.set(number, pod);
    }
    const { uid, node } = pod;
    if (this.#lost.has(node)) return;
    if (pod.sandbox !== undefined) this.#tearDown(pod.sandbox);
    const sandbox = { container: `c${this.#count++}`, uid, pod: number, node };
    pod.sandbox = sandbox;
    const { namespaces } = this.#nodeOf(sandbox);
    namespaces.set(netnsOf(sandbox), []);
    try {
      const request = requestOf(sandbox);
      const addresses = await this.#withLuck(luck, () => this.#nodeOf(sandbox).claim(request, luck.dies));
      for (const [other, has] of this.#told)
        if (other !== uid) for (const address of addresses) expect(has.addresses).not.toContain(address);
      const before = this.#told.get(uid);
      if (before !== undefined) expect(addresses).toEqual(before.addresses);
      this.#told.set(uid, { sandbox, addresses });
      namespaces.set(
        netnsOf(sandbox),
        addresses.map((address) => `${address}/${address.includes(':') ? 125 : 27}`),
      );
    } catch (error) {
      if (!(error instanceof Killed)) expectToBeTold(error);
      // What a process that died had newly got, or taken for its sandbox, goes without a word.
      else this.#told.delete(uid);
      this.#tearDown(sandbox);
    }
  }

  /** As a runtime does: the sandbox goes, then the pod. */
  async #endPod(number: number, luck: Luck): Promise<void> {
    const pod = this.#pods.get(number);
    if (pod === undefined || this.#lost.has(pod.node)) return;
    if (pod.sandbox !== undefined) await this.#del(pod.sandbox, luck);
    await this.#deletePod(number, true);
  }

  /** At once, as by force: the runtime hears of it later. */
  async #deletePod(number: number, withSandbox: boolean): Promise<void> {
    const pod = this.#pods.get(number);
    if (pod === undefined) return;
    this.#pods.delete(number);
    await deletePod(cluster, namespace, `web-${number}`);
    if (pod.sandbox !== undefined && (withSandbox || this.#lost.has(pod.node))) this.#tearDown(pod.sandbox);
    else if (pod.sandbox !== undefined) this.#late.push(pod.sandbox);
    if (!this.#answers(pod.uid)) this.#told.delete(pod.uid);
  }

  async #lateDel(luck: Luck): Promise<void> {
    const sandbox = this.#late.find(({ node }) => !this.#lost.has(node));
    if (sandbox !== undefined) await this.#del(sandbox, luck);
  }

  async #del(sandbox: Sandbox, luck: Luck): Promise<void> {
    const { container, uid } = sandbox;
    // From here on it relies on nothing.
    if (this.#told.get(uid)?.sandbox.container === container) this.#told.delete(uid);
    this.#tearDown(sandbox);
    try {
      const holder = { containerId: container, ifname: 'net1', network: networkOf(sandbox) };
      await this.#withLuck(luck, () => this.#nodeOf(sandbox).release(holder, luck.dies));
      this.#late.splice(this.#late.indexOf(sandbox), 1);
    } catch (error) {
      // The runtime calls again.
      if (!(error instanceof Killed)) throw error;
    }
  }

  /** Its namespace goes; the DEL is still to come. */
  #tearDown(sandbox: Sandbox): void {
    this.#nodeOf(sandbox).namespaces.delete(netnsOf(sandbox));
    if (!this.#late.includes(sandbox)) this.#late.push(sandbox);
  }

  #boot(index: number, isLost: boolean): void {
    nodes[index]?.boot();
    if (isLost) this.#lost.add(index);
    for (const [uid, { sandbox }] of this.#told)
      if (sandbox.node === index && !this.#lives(uid)) this.#told.delete(uid);
  }

  async #setAway(isAway: boolean): Promise<void> {
    this.#isAway = isAway;
    await proxy.setMode(isAway ? 'refuse' : 'open');
  }

  async #withLuck<T>({ fault: name }: Luck, call: () => Promise<T>): Promise<T> {
    const fault = this.#isAway ? undefined : FAULTS[name ?? ''];
    if (fault !== undefined) proxy.inject({ method: 'POST', times: 1, fault });
    if (fault !== undefined) proxy.inject({ method: 'PUT', times: 1, fault });
    if (fault !== undefined) proxy.inject({ method: 'DELETE', times: 1, fault });
    try {
      return await call();
    } finally {
      if (fault !== undefined) await proxy.clear();
    }
  }

  /** What anybody was told is his in the cluster, and nothing in the stores is as it may never be. */
  async #check(): Promise<void> {
    const leases = new Map((await readAll(admin)).map((lease) => [lease.spec.address, heldBy(lease)]));
    for (const [uid, { addresses }] of this.#told)
      for (const address of addresses) expect([address, leases.get(address)]).toEqual([address, uid]);
    for (const one of nodes) expect(one.broken()).toEqual([]);
  }

  #lives(uid: string): boolean {
    return [...this.#pods.values()].some((pod) => pod.uid === uid);
  }

  #answers(uid: string): boolean {
    const told = this.#told.get(uid);
    return told !== undefined && this.#nodeOf(told.sandbox).namespaces.has(netnsOf(told.sandbox));
  }

  #nodeOf({ node }: Sandbox): ModelNode {
    return nodes[node] as ModelNode;
  }
}

const networkOf = ({ pod }: Sandbox): string => `net-${pod % 3}`;
const netnsOf = ({ container }: Sandbox): string => `/run/netns/${container}`;

function requestOf(sandbox: Sandbox): ClaimRequest {
  const { container, uid, pod } = sandbox;
  const network = networkOf(sandbox);
  return claimRequestOf(parseIpamConfig({ name: network, ipam: NETWORKS[pod % 3] }), {
    ...{ network, containerId: container, ifname: 'net1', netns: netnsOf(sandbox) },
    args: { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: `web-${pod}`, K8S_POD_UID: uid },
  });
}

function expectToBeTold(error: unknown): void {
  if (!isManifoldError(error, 'no-address', 'try-later')) throw error;
  expect(error.message).toMatch(/^Cannot /);
}

async function runSteps(steps: readonly Step[], withDel: boolean): Promise<void> {
  const model = new Model();
  try {
    for (const one of steps) await model.run(one);
  } finally {
    await model.end(withDel);
  }
  expect(await whatIsLeft()).toEqual([]);
}

async function whatIsLeft(): Promise<string[]> {
  const held = (await readAll(admin)).filter((lease) => heldBy(lease) !== undefined);
  return [
    ...held.map(({ spec }) => `${spec.address} of ${spec.owner.podName} on ${spec.node}`),
    ...nodes.flatMap((one) => one.rows()),
  ];
}

/** Nothing of one sequence is there in the next. */
async function empty(): Promise<void> {
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
  for (const { store } of nodes) for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
}

test(
  'whatever comes, dies, fails and is lost: no address has two owners, no living one loses its own, and all are freed in the end',
  async () => {
    await fc.assert(
      fc
        .asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), fc.boolean(), runSteps)
        .beforeEach(empty),
      { numRuns: LONGEST_MS, interruptAfterTimeLimit: LONGEST_MS, markInterruptAsFailure: false },
    );
  },
  10 * LONGEST_MS,
);
