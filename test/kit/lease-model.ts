// A model of who has been told what: after each step it is held against the leases of the cluster and the stores of the
// nodes.
import { expect } from 'vitest';
import { claimRequestOf } from '../../ipam/claims.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import type { ClaimRequest } from '../../ipam/lease-store.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { readAll } from './cluster-node.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { createPod, deletePod } from './control-plane/objects.ts';
import type { FaultProxy } from './fault-proxy/fault-proxy.ts';
import { FAULTS, type Luck, NETWORKS, type Step } from './lease-steps.ts';
import { heldBy, Killed, type ModelNode } from './model-node.ts';

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

export interface ModelWorld {
  readonly cluster: Cluster;
  readonly admin: KubeClient;
  /** What the nodes reach the API server through. */
  readonly proxy: FaultProxy;
  /** Of the pods. */
  readonly namespace: string;
  /** m0, m1, … */
  readonly nodes: readonly ModelNode[];
}

export class LeaseModel {
  readonly #world: ModelWorld;
  /** The pods that the API server has, with the sandbox that the runtime made last. */
  readonly #pods = new Map<number, { uid: string; node: number; sandbox?: Sandbox }>();
  /** By UID: whoever may still use, or rely on, what it was told. */
  readonly #told = new Map<string, Told>();
  /** Sandboxes that the runtime has still to DEL. */
  readonly #late: Sandbox[] = [];
  readonly #lost = new Set<number>();
  #isAway = false;
  #count = 0;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

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
    for (const one of this.#world.nodes) one.namespaces.clear();
    // On a busy machine an agent, too, is told to try later.
    for (let tries = 0; tries < 20 && (await this.whatIsLeft()).length > 0; tries++) await this.reclaim();
  }

  async reclaim(): Promise<void> {
    for (const [index, one] of this.#world.nodes.entries()) {
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
      const sketch = { namespace: this.#world.namespace, name: `web-${number}`, node: `m${wanted}` };
      pod = { uid: await createPod(this.#world.cluster, sketch), node: wanted };
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
      const request = requestOf(sandbox, this.#world.namespace);
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
    await deletePod(this.#world.cluster, this.#world.namespace, `web-${number}`);
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
    this.#world.nodes[index]?.boot();
    if (isLost) this.#lost.add(index);
    for (const [uid, { sandbox }] of this.#told)
      if (sandbox.node === index && !this.#lives(uid)) this.#told.delete(uid);
  }

  async #setAway(isAway: boolean): Promise<void> {
    this.#isAway = isAway;
    await this.#world.proxy.setMode(isAway ? 'refuse' : 'open');
  }

  async #withLuck<T>({ fault: name }: Luck, call: () => Promise<T>): Promise<T> {
    const fault = this.#isAway ? undefined : FAULTS[name ?? ''];
    if (fault !== undefined) this.#world.proxy.inject({ method: 'POST', times: 1, fault });
    if (fault !== undefined) this.#world.proxy.inject({ method: 'PUT', times: 1, fault });
    if (fault !== undefined) this.#world.proxy.inject({ method: 'DELETE', times: 1, fault });
    try {
      return await call();
    } finally {
      if (fault !== undefined) await this.#world.proxy.clear();
    }
  }

  /** What anybody was told is his in the cluster, and nothing in the stores is as it may never be. */
  async #check(): Promise<void> {
    const leases = new Map(
      (await readAll(this.#world.admin)).map((lease) => [lease.spec.address, heldBy(lease)]),
    );
    for (const [uid, { addresses }] of this.#told)
      for (const address of addresses) expect([address, leases.get(address)]).toEqual([address, uid]);
    for (const one of this.#world.nodes) expect(one.broken()).toEqual([]);
  }

  /** Of leases that are held, and of rows that stand for one. */
  async whatIsLeft(): Promise<string[]> {
    const held = (await readAll(this.#world.admin)).filter((lease) => heldBy(lease) !== undefined);
    return [
      ...held.map(({ spec }) => `${spec.address} of ${spec.owner.podName} on ${spec.node}`),
      ...this.#world.nodes.flatMap((one) => one.rows()),
    ];
  }

  #lives(uid: string): boolean {
    return [...this.#pods.values()].some((pod) => pod.uid === uid);
  }

  #answers(uid: string): boolean {
    const told = this.#told.get(uid);
    return told !== undefined && this.#nodeOf(told.sandbox).namespaces.has(netnsOf(told.sandbox));
  }

  #nodeOf({ node }: Sandbox): ModelNode {
    return this.#world.nodes[node] as ModelNode;
  }
}

const networkOf = ({ pod }: Sandbox): string => `net-${pod % 3}`;
const netnsOf = ({ container }: Sandbox): string => `/run/netns/${container}`;

function requestOf(sandbox: Sandbox, namespace: string): ClaimRequest {
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
