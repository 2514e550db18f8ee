// For how long each node has shown no life: its kubelet's Lease and its agent's have not changed. By the own monotonic
// clock alone, since the clock of a machine that is lost may have been wrong.

interface Sign {
  readonly version: string | undefined;
  readonly sinceMs: number;
  readonly lookedMs: number;
}

/** Where answers of the API server lie further apart than so many passes, silence was not watched. */
const GAP = 3;

export class NodeLife {
  readonly #everyMs: number;
  #answeredMs: number | undefined;
  #kubelets = new Map<string, Sign>();
  #agents = new Map<string, Sign>();

  /** @param everyMs how often it is looked at */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /**
   * One look at the kubelets' Leases.
   * @param versions the resourceVersion of each node's; absent for a node that has none
   * @param nodes whose life matters: all others are forgotten
   */
  seeKubelets(versions: ReadonlyMap<string, string>, nodes: Iterable<string>, nowMs: number): void {
    // While nobody looked, the API server may have been away, and every node silent.
    if (!this.#isWatched(nowMs)) {
      this.#kubelets.clear();
      this.#agents.clear();
    }
    this.#answeredMs = nowMs;
    const kubelets = new Map<string, Sign>();
    const agents = new Map<string, Sign>();
    for (const node of nodes) {
      const version = versions.get(node);
      kubelets.set(node, changed(this.#kubelets.get(node), version, nowMs));
      const agent = this.#agents.get(node);
      if (agent !== undefined) agents.set(node, agent);
    }
    this.#kubelets = kubelets;
    this.#agents = agents;
  }

  /** One look at the Lease of a node's agent: undefined where there is none. */
  seeAgent(node: string, version: string | undefined, nowMs: number): void {
    this.#agents.set(node, changed(this.#agents.get(node), version, nowMs));
  }

  /** The API server answers: a pass may take long without a node having had no chance to renew. */
  answered(nowMs: number): void {
    if (this.#isWatched(nowMs)) this.#answeredMs = nowMs;
  }

  /** Of the kubelet alone: where that is short, nobody needs to look at the agent's. */
  kubeletSilentMs(node: string): number {
    return silence(this.#kubelets.get(node));
  }

  /** Of both, up to the last look: 0 as long as one of them was never looked at. */
  silentMs(node: string): number {
    return Math.min(silence(this.#kubelets.get(node)), silence(this.#agents.get(node)));
  }

  #isWatched(nowMs: number): boolean {
    return this.#answeredMs !== undefined && nowMs - this.#answeredMs <= GAP * this.#everyMs;
  }
}

const changed = (before: Sign | undefined, version: string | undefined, nowMs: number): Sign =>
  before === undefined || before.version !== version
    ? { version, sinceMs: nowMs, lookedMs: nowMs }
    : { ...before, lookedMs: nowMs };

const silence = (sign: Sign | undefined): number => (sign === undefined ? 0 : sign.lookedMs - sign.sinceMs);
