// A node of a cluster for laws over thousands of steps: a real store and a real client, calls that die in the middle,
// boots, and namespaces that are no more than a name (real ones would take a hundredth of a second each).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterDeps } from '../../ipam/cluster-deps.ts';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { kubeLeaseStore } from '../../ipam/kube-lease-store.ts';
import type { ClaimRequest, LeaseHolder } from '../../ipam/lease-store.ts';
import { type AgentDeps, DEFAULT_TIMINGS } from '../../meta/agent/agent-deps.ts';
import { KnownNodes } from '../../meta/agent/known-nodes.ts';
import { NodeLife } from '../../meta/agent/node-life.ts';
import { Pace } from '../../meta/agent/pace.ts';
import { reclaimLost } from '../../meta/agent/reclaim-lost.ts';
import { OwnReclaim } from '../../meta/agent/reclaim-own.ts';
import { SaidOnce } from '../../meta/agent/said-once.ts';
import { seenLease } from '../../meta/agent/seen-lease.ts';
import { PODS, seenPod } from '../../meta/agent/seen-pod.ts';
import { Suspects } from '../../meta/agent/suspects.ts';
import { formatAddress } from '../../pkg/ip/address.ts';
import type { Kernel, Namespace } from '../../pkg/kernel/kernel.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

/** Of this boot, or of the next. */
const NO_PROCESS = 2 ** 22 + 1;
/** An agent that suspects nobody for long. */
const TIMINGS = { ...DEFAULT_TIMINGS, suspect: 0, goneSilence: 0 };

export class Killed extends Error {}

export class ModelNode implements Disposable {
  readonly name: string;
  readonly store: NodeStore;
  /** Addresses of each namespace that is there, by its path. */
  readonly namespaces = new Map<string, readonly string[]>();
  readonly #client: KubeClient;
  readonly #directory = mkdtempSync(join(tmpdir(), 'manifold-model-'));

  constructor(kubeconfig: string, name: string) {
    this.name = name;
    this.store = openNodeStore(this.#directory);
    this.#client = openKubeClient(kubeconfig, { timeoutMs: 300, retry: { firstMs: 20, mostMs: 100 } });
  }

  /** @param diesAt the number of the step boundary at which its process dies @throws Killed */
  async claim(request: ClaimRequest, diesAt: number | null): Promise<string[]> {
    return this.#inProcess(diesAt, async (deps) => {
      const [grants = []] = await kubeLeaseStore(deps).claim([request], 'held');
      return grants.map(({ address }) => formatAddress(address));
    });
  }

  /** @throws Killed */
  async release(holder: LeaseHolder, diesAt: number | null): Promise<void> {
    await this.#inProcess(diesAt, (deps) => kubeLeaseStore(deps).release(holder));
  }

  /** Everything that ran here has ended, and every namespace. */
  boot(): void {
    this.namespaces.clear();
    for (const row of this.store.clusterLeases.all())
      this.store.clusterLeases.update({ ...row, writer: { ...row.writer, bootId: 'an earlier boot' } });
  }

  /** As often as an agent looks before it ends anything. @throws ManifoldError */
  async reclaim(): Promise<void> {
    const [pods, leases] = await Promise.all([
      this.#client.list(PODS, { fieldSelector: `spec.nodeName=${this.name}` }),
      this.#client.list(IP_LEASES, { fieldSelector: `spec.node=${this.name}` }),
    ]);
    const seen = <T>(items: T[]) => ({ synced: true, values: () => items });
    const own = new OwnReclaim(this.#agentDeps(), this.#settings(), {
      pods: seen(pods.items.flatMap((object) => seenPod(object) ?? [])),
      leases: seen(leases.items.flatMap((object) => seenLease(object) ?? [])),
    });
    for (let pass = 0; pass < 3; pass++) await own.pass(AbortSignal.timeout(20_000));
    this.#endProcess();
  }

  /** For another node that is lost, for longer than anybody waits. @throws ManifoldError */
  async reclaimFor(lost: string): Promise<void> {
    const { items } = await this.#client.list(IP_LEASES, { fieldSelector: `spec.node=${lost}` });
    const leases = items.flatMap((object) => seenLease(object) ?? []);
    const parts = {
      leadership: { holds: true },
      leases: { values: () => leases },
      life: new NodeLife(60_000),
      ...{ pace: new Pace(1000), known: new KnownNodes(), suspects: new Suspects(), said: new SaidOnce() },
    };
    parts.known.see(lost);
    // It is looked at twice: one look tells of no silence.
    for (let look = 0; look < 2; look++)
      await reclaimLost(this.#agentDeps(), this.#settings(), parts, AbortSignal.timeout(20_000));
  }

  /** Rows that stand for a lease. */
  rows(): string[] {
    const rows = this.store.clusterLeases.all().filter(({ state }) => state !== 'resting');
    return rows.map(
      ({ address, state, owner, containerId }) => `${address} ${state} ${owner} ${containerId}`,
    );
  }

  broken(): string[] {
    return checkState(this.store).broken;
  }

  [Symbol.dispose](): void {
    this.store.close();
    this.#client.close();
    rmSync(this.#directory, { recursive: true });
  }

  async #inProcess<T>(diesAt: number | null, work: (deps: ClusterDeps) => Promise<T>): Promise<T> {
    let left = diesAt ?? Number.POSITIVE_INFINITY;
    const ensureAlive = () => {
      if (left <= 0) throw new Killed();
    };
    const store: NodeStore = {
      ...this.store,
      transaction: (inside) => {
        ensureAlive();
        return this.store.transaction(inside);
      },
    };
    try {
      return await work({
        ...{ store, nodeName: this.name, kernel: this.#kernel(), client: mortal(this.#client, ensureAlive) },
        step: () => {
          left--;
          ensureAlive();
        },
      });
    } finally {
      this.#endProcess();
    }
  }

  /** What this process wrote is that of one that has ended. */
  #endProcess(): void {
    for (const row of this.store.clusterLeases.all())
      if (row.writer.pid !== NO_PROCESS)
        this.store.clusterLeases.update({ ...row, writer: { ...row.writer, pid: NO_PROCESS } });
  }

  #kernel(): Pick<Kernel, 'openIfThere'> {
    return {
      openIfThere: (path) => {
        const addresses = path.startsWith('/proc/') ? [] : this.namespaces.get(path);
        if (addresses === undefined) return undefined;
        const namespace: Partial<Namespace> = {
          ...{ path, id: path, close: () => undefined },
          // An interface is there as soon as it has its address.
          link: () =>
            addresses.length === 0 ? undefined : ({ name: 'net1' } as ReturnType<Namespace['link']>),
          addresses: () => addresses.map((cidr) => ({ cidr }) as ReturnType<Namespace['addresses']>[number]),
        };
        return namespace as Namespace;
      },
    };
  }

  #agentDeps(): AgentDeps {
    return {
      ...{ client: this.#client, kernel: this.#kernel(), log: silentLogger },
      openStore: () => ({ ...this.store, close: () => undefined }),
      namespaces: () => [...this.namespaces.keys(), '/run/netns/of-another-program'],
      monotonicMs: () => performance.now(),
    };
  }

  #settings() {
    return { nodeName: this.name, namespace: 'kube-system', nodeSilenceMs: 0, timings: TIMINGS };
  }
}

/** A process that is dead neither asks nor hears. */
function mortal(client: KubeClient, ensureAlive: () => void): KubeClient {
  const guarded =
    <A extends unknown[], R>(ask: (...call: A) => Promise<R>) =>
    async (...call: A): Promise<R> => {
      ensureAlive();
      const answer = await ask(...call);
      ensureAlive();
      return answer;
    };
  return {
    ...client,
    get: guarded(client.get) as KubeClient['get'],
    list: guarded(client.list) as KubeClient['list'],
    create: guarded(client.create) as KubeClient['create'],
    replace: guarded(client.replace) as KubeClient['replace'],
    delete: guarded(client.delete),
  };
}

export const heldBy = ({ spec }: IpLease): string | undefined =>
  spec.phase === 'Held' ? spec.owner.uid : undefined;
