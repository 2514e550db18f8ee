// manifold-ipam as a process of a node that reaches the API server through a proxy, and what must be so after a fault.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import { AgentNode, readLeases } from './agent-node.ts';
import { bundle } from './bundle.ts';
import { type ClusterAnswer, callCluster, networkOn } from './cluster-call.ts';
import type { Credential } from './control-plane/api-request.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { FaultProxy } from './fault-proxy/fault-proxy.ts';
import { NODE } from './test-node.ts';

/** A claim has 20 seconds, and 5 to give back what it got; a release 5. The rest is for two busy cores. */
const LATEST_MS = { ADD: 40_000, DEL: 20_000 } as const;

/** The program of this source in one file, for as long as a test file needs it. */
export class IpamBundle implements Disposable {
  readonly command: readonly string[];
  readonly #directory = mkdtempSync(join(tmpdir(), 'manifold-faults-'));

  constructor() {
    const entry = fileURLToPath(new URL('../../meta/bin/manifold-ipam.ts', import.meta.url));
    this.command = [...NODE, bundle(entry, this.#directory)];
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

/** One node behind a proxy of its own, so that cases can run beside each other. */
export class FaultWorld implements AsyncDisposable {
  readonly node: AgentNode;
  readonly proxy: FaultProxy;
  readonly #cluster: Cluster;
  readonly #command: readonly string[];
  readonly #kubeconfig: string;

  private constructor(
    cluster: Cluster,
    command: readonly string[],
    node: AgentNode,
    proxy: FaultProxy,
    credential: Credential | undefined,
  ) {
    this.#cluster = cluster;
    this.#command = command;
    this.node = node;
    this.proxy = proxy;
    this.#kubeconfig = proxy.kubeconfig(credential);
  }

  static async make(
    cluster: Cluster,
    command: readonly string[],
    credential?: Credential,
  ): Promise<FaultWorld> {
    return new FaultWorld(
      cluster,
      command,
      await AgentNode.join(cluster),
      await FaultProxy.start(cluster),
      credential,
    );
  }

  async call(verb: Verb, pod: string, ipam: JsonObject, sandbox = 'a'): Promise<ClusterAnswer> {
    const answer = await callCluster(this.#command, {
      ...{ verb, container: `${pod}-${sandbox}`, pod: { namespace: 'ns', name: pod, uid: `${pod}-uid` } },
      config: networkOn(this.node, this.#kubeconfig, ipam),
    });
    expect(answer.ms).toBeLessThan(verb === 'DEL' ? LATEST_MS.DEL : LATEST_MS.ADD);
    return answer;
  }

  async good(verb: 'ADD' | 'DEL', pod: string, ipam: JsonObject, sandbox = 'a'): Promise<readonly string[]> {
    const answer = await this.call(verb, pod, ipam, sandbox);
    expect(answer).toMatchObject({ code: 0, error: undefined });
    return answer.addresses;
  }

  async held(): Promise<string[]> {
    const leases = [...(await readLeases(this.#cluster)).values()];
    return leases
      .filter(({ spec }) => spec.node === this.node.name && spec.phase === 'Held')
      .map(({ spec }) => `${spec.address} ${spec.owner.containerID}`);
  }

  /** Rows of the node that stand for a lease. */
  rows(): string[] {
    const rows = this.node.rows().filter(({ state }) => state !== 'resting');
    return rows.map(({ address, state, containerId }) => `${address} ${state} ${containerId}`);
  }

  async left(): Promise<string[]> {
    return [...(await this.held()), ...this.rows()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    await this.node.close();
  }
}

/** Whoever reads it knows what failed, and what to do. */
export function expectHelpful({ error }: ClusterAnswer, code: number): void {
  expect(error).toMatchObject({
    code,
    msg: expect.stringMatching(/^Cannot .*ipleases\.ipam\.manifold\.dev/),
  });
  expect(error?.msg).not.toContain('\n');
  expect(error?.details ?? '').toMatch(/kubectl|deploy\/|renew|write the file|may be repeated|listens there/);
}

let ranges = 0;
/** Of one address at a time: another network's leases are not in the way. */
export const RANGES: Readonly<Record<'spread' | 'lowest', () => JsonObject>> = {
  spread: () => ({ range: `10.${100 + ++ranges}.0.0/16` }),
  lowest: () => ({ range: `10.${100 + ++ranges}.0.0/24`, reuseDelay: '0s' }),
};
