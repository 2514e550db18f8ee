// What the API server says of leases and pods, event after event, held against what must be so at that moment: whoever
// may still use an address has it.
import { setTimeout as sleep } from 'node:timers/promises';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { PODS } from '../../meta/agent/seen-pod.ts';
import type { KubeClient, KubeObject, KubeResource, RawObject } from '../../pkg/kube/kube-client.ts';

/** An owner that has an address, from one revision of etcd to another: it is one number for all objects. */
export interface Life {
  readonly address: string;
  readonly uid: string;
  /** Of the lease as its ADD wrote it. */
  readonly from: bigint;
  /** The last at which nobody had begun to end it. */
  to?: bigint;
}

interface Seen {
  readonly revision: bigint;
  /** Undefined: nobody holds it. */
  readonly holder: string | undefined;
}

export class LeaseWatch {
  readonly lives: Life[] = [];
  /** Sentences. */
  readonly faults = new Set<string>();
  events = { leases: 0, pods: 0 };
  readonly #client: KubeClient;
  readonly #stop = new AbortController();
  readonly #history = new Map<string, Seen[]>();
  #running: Promise<unknown> = Promise.resolve();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async start(): Promise<void> {
    const { resourceVersion } = await this.#client.list(PODS);
    this.#running = Promise.all([
      this.#follow<IpLease>(IP_LEASES, resourceVersion, ({ metadata, spec }, isGone) => {
        this.events.leases++;
        const holder = isGone || spec.phase !== 'Held' ? undefined : spec.owner.uid;
        const seen = { revision: BigInt(metadata.resourceVersion ?? 0), holder };
        this.#history.set(spec.address, [...(this.#history.get(spec.address) ?? []), seen]);
      }),
      this.#follow<RawObject>(PODS, resourceVersion, () => {
        this.events.pods++;
      }),
    ]);
  }

  /** The newest revision. */
  async revision(): Promise<bigint> {
    const { resourceVersion } = await this.#client.list(PODS, { pageSize: 1, namespace: 'default' });
    return BigInt(resourceVersion);
  }

  begin(life: Life): Life {
    this.lives.push(life);
    return life;
  }

  /** Before anything is done that may end it. */
  async end(life: Life): Promise<void> {
    life.to ??= await this.revision();
  }

  /** When it has seen all that is there by now. */
  async stop(): Promise<void> {
    const last = await this.revision();
    await sleep(500);
    this.#stop.abort();
    await this.#running;
    this.#check();
    for (const life of this.lives) life.to ??= last;
    this.#check();
  }

  async #follow<T extends KubeObject>(
    resource: KubeResource,
    resourceVersion: string,
    onEvent: (object: T, isGone: boolean) => void,
  ): Promise<void> {
    const watch = this.#client.watch<T>(resource, { resourceVersion, signal: this.#stop.signal });
    for await (const event of watch) {
      if (event.type === 'BOOKMARK') continue;
      onEvent(event.object, event.type === 'DELETED');
      this.#check();
    }
  }

  #check(): void {
    for (const life of this.lives)
      for (const { revision, holder } of this.#history.get(life.address) ?? []) {
        if (revision < life.from || (life.to !== undefined && revision > life.to)) continue;
        if (holder !== life.uid)
          this.faults.add(
            `${life.address} of ${life.uid} (from ${life.from} to ${life.to}) was ${holder ?? 'free'} at ${revision}`,
          );
      }
  }
}
