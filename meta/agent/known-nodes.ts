// Which node names have been seen to be some node's. A name that never was may be a mistake in a configuration, and the
// node may run under its right one: its silence says nothing.

/** In memory only: an agent that starts knows none. */
export class KnownNodes {
  #known = new Set<string>();

  has(node: string): boolean {
    return this.#known.has(node);
  }

  /** Its Node object, its kubelet's Lease, or a heartbeat that belongs to its Node object. */
  see(node: string): void {
    this.#known.add(node);
  }

  /** @param kubelets every node whose kubelet has a Lease; of all others those are kept that have leases */
  seeAll(kubelets: Iterable<string>, withLeases: ReadonlySet<string>): void {
    this.#known = new Set([...kubelets, ...[...this.#known].filter((node) => withLeases.has(node))]);
  }
}
