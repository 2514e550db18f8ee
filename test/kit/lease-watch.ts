// The invariant over all leases of a cluster, checked at every event: no lease of a pod that lives is ended or given to
// another, and no address has two holders.
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';

export class LeaseWatch implements AsyncDisposable {
  /** UIDs of owners whose leases nobody may end: kept by the test, before it does what follows from it. */
  readonly living = new Set<string>();
  /** What was seen that must not be. */
  readonly faults: string[] = [];
  /** How many events were seen. */
  events = 0;
  readonly #stop = new AbortController();
  readonly #holders = new Map<string, string>();
  readonly #ended: Promise<void>;

  private constructor(client: KubeClient, resourceVersion: string) {
    this.#ended = this.#follow(client, resourceVersion);
  }

  static async start(client: KubeClient): Promise<LeaseWatch> {
    const { resourceVersion } = await client.list(IP_LEASES);
    return new LeaseWatch(client, resourceVersion);
  }

  async #follow(client: KubeClient, resourceVersion: string): Promise<void> {
    const { signal } = this.#stop;
    for await (const event of client.watch<IpLease>(IP_LEASES, { resourceVersion, signal })) {
      if (event.type === 'BOOKMARK') continue;
      this.events++;
      const { name } = event.object.metadata;
      const { owner, phase } = event.object.spec;
      const before = this.#holders.get(name);
      const now = event.type === 'DELETED' || phase !== 'Held' ? undefined : owner.uid;
      if (before !== undefined && before !== now && this.living.has(before))
        this.faults.push(
          `${name} of ${before}, which lives, ${now === undefined ? 'was ended' : `went to ${now}`}`,
        );
      if (now === undefined) this.#holders.delete(name);
      else this.#holders.set(name, now);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
