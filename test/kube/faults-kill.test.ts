// manifold-ipam dies (SIGKILL) at each of its step boundaries over the leases of a cluster: whoever comes next mends
// what it left, the next ADD, a DEL, or the agent.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { AgentNode, eventually, readLeases } from '../kit/agent-node.ts';
import { type ClusterAnswer, callCluster, networkOn } from '../kit/cluster-call.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { type CrashProgram, crashProgram } from '../kit/crash-program.ts';

const MOST_STEPS = 30;

let cluster: Cluster;
let program: CrashProgram;
let command: readonly string[];
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  program = crashProgram();
  command = program.command('manifold-ipam');
});
afterAll(() => program[Symbol.dispose]());

/** How an address is come by, and what becomes of its lease in the end. */
const DEFINITIONS: Readonly<Record<string, JsonObject>> = {
  'a wide range': { range: '10.64.0.0/12' },
  'the lowest of two ranges': {
    ipRanges: [{ range: '10.80.0.0/25' }, { range: 'fd80::/120' }],
    reuseDelay: '0s',
  },
  'an address that is kept for its pod': { range: '10.81.0.0/24', sticky: '10m' },
};
const CASES = Object.keys(DEFINITIONS);

/** One pod on a node of its own: no namespace of it is there, as after a crash of the sandbox. */
class Pod {
  readonly #node: AgentNode;
  readonly #config: JsonObject;
  readonly #uid: string;

  constructor(node: AgentNode, ipam: JsonObject, uid = `uid-${node.name}`) {
    this.#node = node;
    this.#config = networkOn(node, cluster.kubeconfig(), ipam);
    this.#uid = uid;
  }

  call(verb: 'ADD' | 'DEL', sandbox: string, killAt?: number): Promise<ClusterAnswer> {
    return callCluster(command, {
      ...{ verb, container: `${this.#uid}-${sandbox}`, config: this.#config },
      pod: { namespace: 'ns', name: 'web-0', uid: this.#uid },
      ...(killAt !== undefined && { env: { MANIFOLD_TEST_KILL_AT: String(killAt) } }),
    });
  }

  async add(sandbox: string): Promise<readonly string[]> {
    const { error, addresses } = await this.call('ADD', sandbox);
    expect(error).toBeUndefined();
    return addresses;
  }

  async del(sandbox: string): Promise<void> {
    expect(await this.call('DEL', sandbox)).toMatchObject({ code: 0, error: undefined });
  }

  async held(): Promise<string[]> {
    const leases = [...(await readLeases(cluster)).values()];
    return leases
      .filter(({ spec }) => spec.node === this.#node.name && spec.phase === 'Held')
      .map(({ spec }) => `${spec.address} ${spec.owner.containerID.replace(`${this.#uid}-`, '')}`)
      .sort();
  }

  /** Rows of the node that stand for a lease. */
  rows(): string[] {
    const rows = this.#node.rows().filter(({ state }) => state !== 'resting');
    return rows.map(({ address, state }) => `${address} ${state}`);
  }

  async expectGone(): Promise<void> {
    expect(await this.held()).toEqual([]);
    expect(this.rows()).toEqual([]);
  }
}

/** Kills at step 1, 2, … until the call ends by itself; `then` runs after each kill. @returns how many steps there are */
async function atEachStep(
  ipam: JsonObject,
  verb: 'ADD' | 'DEL',
  then: (pod: Pod, node: AgentNode) => Promise<void>,
): Promise<number> {
  for (let at = 1; at <= MOST_STEPS; at++) {
    await using node = await AgentNode.join(cluster);
    const pod = new Pod(node, ipam);
    if (verb === 'DEL') await pod.add('a');
    const answer = await pod.call(verb, 'a', at);
    if (answer.code === 0) {
      await pod.del('a');
      await pod.expectGone();
      return at - 1;
    }
    expect(answer.code).toBeNull();
    await then(pod, node);
    await pod.expectGone();
  }
  throw new Error(`more than ${MOST_STEPS} steps`);
}

test.each(CASES)(
  '%s: ADD is killed at each step; the next ADD of its pod has an address, and late and last DEL leave nothing',
  async (name) => {
    const ipam = DEFINITIONS[name] ?? {};
    const steps = await atEachStep(ipam, 'ADD', async (pod) => {
      const addresses = await pod.add('b');
      await pod.del('a');
      expect(await pod.held()).toEqual(addresses.map((address) => `${address} b`).sort());
      expect(pod.rows().sort()).toEqual(addresses.map((address) => `${address} held`).sort());
      await pod.del('b');
    });
    expect(steps).toBeGreaterThan(2);
  },
);

test.each(CASES)('%s: ADD is killed at each step; the DEL of its sandbox leaves nothing', async (name) => {
  await atEachStep(DEFINITIONS[name] ?? {}, 'ADD', (pod) => pod.del('a'));
});

test.each(CASES)('%s: ADD is killed at each step; the agent frees what is left', async (name) => {
  await atEachStep(DEFINITIONS[name] ?? {}, 'ADD', async (pod, node) => {
    node.startAgent();
    await eventually(
      async () => [...(await pod.held()), ...pod.rows()],
      (left) => left.length === 0,
    );
  });
});

test.each(CASES)(
  '%s: DEL is killed at each step; its pod comes back to its address, and DEL leaves nothing',
  async (name) => {
    const ipam = DEFINITIONS[name] ?? {};
    const steps = await atEachStep(ipam, 'DEL', async (pod) => {
      const addresses = await pod.add('b');
      expect(await pod.held()).toEqual(addresses.map((address) => `${address} b`).sort());
      // The runtime calls it again, since it does not know whether it was done.
      await pod.del('a');
      expect(await pod.held()).toEqual(addresses.map((address) => `${address} b`).sort());
      await pod.del('b');
    });
    expect(steps).toBeGreaterThan(1);
  },
);

test.each(CASES)('%s: DEL is killed at each step; DEL again leaves nothing', async (name) => {
  await atEachStep(DEFINITIONS[name] ?? {}, 'DEL', (pod) => pod.del('a'));
});

test.each(CASES)('%s: DEL is killed at each step; the agent frees what is left', async (name) => {
  await atEachStep(DEFINITIONS[name] ?? {}, 'DEL', async (pod, node) => {
    node.startAgent();
    await eventually(
      async () => [...(await pod.held()), ...pod.rows()],
      (left) => left.length === 0,
    );
  });
});

test('ADD of another pod is killed at each step as it ends what an earlier call left: nothing is left, and none is given twice', async () => {
  const ipam = { range: '10.82.0.0/24' };
  for (let at = 1; at <= MOST_STEPS; at++) {
    await using node = await AgentNode.join(cluster);
    const before = new Pod(node, ipam, `before-${node.name}`);
    expect((await before.call('ADD', 'a', 4)).code).toBeNull();
    const pod = new Pod(node, ipam);
    const answer = await pod.call('ADD', 'a', at);
    const again = await pod.add('b');
    expect(await pod.held()).toEqual([`${again[0]} b`]);
    await pod.del('a');
    await pod.del('b');
    await pod.expectGone();
    if (answer.code === 0) break;
    expect(at).toBeLessThan(MOST_STEPS);
  }
});
