// A node of a cluster as tests need many of: a name, a store, namespaces that stand for sandboxes, ADD and DEL of the
// allocator, and a real agent in this process with hurried timings.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimRequestOf } from '../../ipam/claims.ts';
import type { Reservations } from '../../ipam/cluster-deps.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import type { IpLease } from '../../ipam/ip-lease.ts';
import { kubeLeaseStore } from '../../ipam/kube-lease-store.ts';
import { runAgent } from '../../meta/agent/agent.ts';
import { type AgentSettings, DEFAULT_TIMINGS, type Timings } from '../../meta/agent/agent-deps.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { formatAddress } from '../../pkg/ip/address.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { ClusterLeaseRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore, storeIsThere } from '../../pkg/state/open-node-store.ts';
import type { Cluster } from './control-plane/cluster.ts';
import { LEASES_PATH } from './lease-object.ts';
import { makeNetns, type TestNetns } from './netns.ts';

/** A fraction of the time that an agent takes for the same. */
export const HURRIED: Timings = {
  ...{ heartbeat: 500, pass: 250, gather: 20, suspect: 500 },
  ...{ leaseDuration: 2000, leaseRenew: 500, leaseLook: 400, goneSilence: 2000, pool: 100 },
};

/** A pod as the runtime names it, in one sandbox. */
export interface Sandbox {
  readonly container: string;
  readonly namespace?: string;
  readonly name?: string;
  /** Absent where the runtime names no pod. */
  readonly uid?: string;
  /** @default net1 */
  readonly ifname?: string;
  /** Of the network. @default rail0 */
  readonly network?: string;
}

export interface RunningAgent {
  /** Every line of its log, parsed. */
  readonly log: readonly {
    readonly level: string;
    readonly event: string;
    readonly [key: string]: unknown;
  }[];
  /** As SIGTERM does. */
  stop(): Promise<void>;
}

export class AgentNode implements AsyncDisposable {
  readonly name: string;
  readonly directory = mkdtempSync(join(tmpdir(), 'manifold-agent-'));
  readonly stateDir = join(this.directory, 'state');
  readonly runDir = join(this.directory, 'run');
  readonly client: KubeClient;
  /** Where Whereabouts runs in the same cluster: of ADD, DEL and the agents that are started from then on. */
  reservations: Reservations | undefined;
  readonly #kernel = createKernel();
  readonly #sandboxes = new Map<string, TestNetns>();
  readonly #agents: RunningAgent[] = [];

  constructor(client: KubeClient, name = `node-${randomBytes(4).toString('hex')}`) {
    this.client = client;
    this.name = name;
  }

  /** @param kubeconfig by default an admin's */
  static async join(cluster: Cluster, name?: string, kubeconfig = cluster.kubeconfig()): Promise<AgentNode> {
    const access = await readKubeconfig(kubeconfig);
    return new AgentNode(createKubeClient(access, { retry: { firstMs: 20 } }), name);
  }

  openStore(): NodeStore {
    return openNodeStore(this.stateDir, { runDirectory: this.runDir });
  }

  read<T>(work: (store: NodeStore) => T): T {
    const store = this.openStore();
    try {
      return work(store);
    } finally {
      store.close();
    }
  }

  rows(): ClusterLeaseRecord[] {
    return this.read((store) => store.clusterLeases.all());
  }

  /** The namespace of a sandbox, made at the first call. */
  sandbox(container: string): TestNetns {
    const made = this.#sandboxes.get(container) ?? makeNetns();
    this.#sandboxes.set(container, made);
    return made;
  }

  /** As when a runtime takes a sandbox down, or the machine is booted. */
  endSandbox(container: string): void {
    this.#sandboxes.get(container)?.[Symbol.dispose]();
    this.#sandboxes.delete(container);
  }

  /** ADD of one interface, in its own namespace, which then has the addresses. @returns them */
  async add(ipam: JsonObject, sandbox: Sandbox, as: 'claimed' | 'held' = 'held'): Promise<string[]> {
    const [addresses = []] = await this.addAll([[ipam, sandbox]], as);
    return addresses;
  }

  /** As a pod with several networks asks: all or none. @returns for each its addresses */
  async addAll(
    asked: readonly (readonly [ipam: JsonObject, sandbox: Sandbox])[],
    as: 'claimed' | 'held' = 'held',
  ): Promise<string[][]> {
    const store = this.openStore();
    try {
      const requests = asked.map(([ipam, sandbox]) => {
        const { container, ifname = 'net1', network = 'rail0' } = sandbox;
        const { path: netns } = this.sandbox(container);
        const config = parseIpamConfig({ name: network, ipam });
        return claimRequestOf(config, {
          network,
          containerId: container,
          ifname,
          netns,
          args: argsOf(sandbox),
        });
      });
      const granted = await kubeLeaseStore(this.#deps(store)).claim(requests, as);
      return granted.map((grants, index) => {
        for (const { address, prefix } of grants)
          this.sandbox(asked[index]?.[1].container ?? '').ip(
            ...['addr', 'add', `${formatAddress(address)}/${prefix}`, 'dev', 'lo'],
          );
        return grants.map(({ address }) => formatAddress(address));
      });
    } finally {
      store.close();
    }
  }

  async del({ container, ifname = 'net1', network = 'rail0' }: Sandbox): Promise<void> {
    const store = this.openStore();
    try {
      await kubeLeaseStore(this.#deps(store)).release({ containerId: container, ifname, network });
    } finally {
      store.close();
    }
  }

  #deps(store: NodeStore) {
    const { client, name: nodeName, reservations } = this;
    return { client, store, nodeName, kernel: this.#kernel, ...(reservations && { reservations }) };
  }

  /** @param sees false for an agent that sees no namespace of the node */
  startAgent(change: Partial<AgentSettings> = {}, client = this.client, sees = true): RunningAgent {
    // A pod of another network: without any namespace the agent would think that it sees nothing.
    if (sees) this.sandbox('bystander');
    const lines: RunningAgent['log'][number][] = [];
    const stop = new AbortController();
    const ended = runAgent(
      {
        client,
        kernel: this.#kernel,
        openStore: () => (storeIsThere(this.stateDir) ? this.openStore() : undefined),
        namespaces: () => (sees ? [...this.#sandboxes.values()].map(({ path }) => path) : []),
        log: createLogger({ level: 'debug', sink: (line) => lines.push(JSON.parse(line)) }),
        monotonicMs: () => performance.now(),
        ...(this.reservations && { reservations: this.reservations }),
      },
      {
        ...{ nodeName: this.name, namespace: 'kube-system', nodeSilenceMs: 4000 },
        timings: { ...DEFAULT_TIMINGS, ...HURRIED },
        ...change,
      },
      stop.signal,
    );
    const agent = {
      log: lines,
      async stop() {
        stop.abort();
        await ended;
      },
    };
    this.#agents.push(agent);
    return agent;
  }

  /** Stops its agents and takes everything away. @throws Error when an invariant of the store is broken */
  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.stop();
    this.client.close();
    const broken = storeIsThere(this.stateDir) ? this.read((store) => checkState(store).broken) : [];
    for (const container of [...this.#sandboxes.keys()]) this.endSandbox(container);
    rmSync(this.directory, { recursive: true, force: true });
    if (broken.length > 0) throw new Error(`the store is broken: ${broken.join('; ')}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function argsOf({ namespace, name, uid }: Sandbox): Record<string, string> {
  return {
    ...(namespace && { K8S_POD_NAMESPACE: namespace }),
    ...(name && { K8S_POD_NAME: name }),
    ...(uid && { K8S_POD_UID: uid }),
  };
}

/** All leases of the cluster, by name. */
export async function readLeases(cluster: Cluster): Promise<Map<string, IpLease>> {
  const { items } = await cluster.api('GET', LEASES_PATH);
  return new Map((items as IpLease[]).map((lease) => [lease.metadata.name, lease]));
}

/** Until what is awaited is so. @throws Error with what it is instead */
export async function eventually<T>(
  read: () => Promise<T> | T,
  holds: (value: T) => boolean,
  withinMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (Date.now() > deadline) throw new Error(`It did not come to that: ${JSON.stringify(value)}`);
    await sleep(50);
  }
}
