// One pass over the leases of this node: what calls left undone is finished, what dead pods hold is ended, what live
// ones hold is kept right.
import { finishReleases } from '../../ipam/finish-releases.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { type AgentDeps, type AgentSettings, clusterDeps } from './agent-deps.ts';
import { atOnce } from './at-once.ts';
import { endOwn, releaseHint } from './end-holding.ts';
import { GoOn } from './go-on.ts';
import { describe, type Holding, holdings, podName } from './holdings.ts';
import type { Mirror } from './mirror.ts';
import { type NodeEvidence, readEvidence } from './node-evidence.ts';
import { answersFor, readAnswering, seesAnother } from './node-namespaces.ts';
import { type OwnDecision, type OwnFacts, planOwn } from './plan-reclaim.ts';
import { readPod } from './read-pod.ts';
import { repairRows } from './repair-rows.ts';
import { SaidOnce } from './said-once.ts';
import { isOfPod, type SeenLease, type SeenOwner } from './seen-lease.ts';
import type { SeenPod } from './seen-pod.ts';
import { Suspects } from './suspects.ts';

/** Finished in one pass, one after the other. */
const MOST_RELEASES = 200;
const ASKED_AT_ONCE = 4;

export interface OwnMirrors {
  readonly pods: Pick<Mirror<SeenPod>, 'synced' | 'values'>;
  readonly leases: Pick<Mirror<SeenLease>, 'synced' | 'values'>;
}

interface Asking {
  readonly evidence: NodeEvidence | undefined;
  readonly store: NodeStore | undefined;
  readonly goOn: GoOn;
  readonly signal: AbortSignal;
}

/** What is remembered from pass to pass. */
export class OwnReclaim {
  readonly suspects = new Suspects();
  readonly said = new SaidOnce();
  readonly #deps: AgentDeps;
  readonly #settings: AgentSettings;
  readonly #mirrors: OwnMirrors;

  constructor(deps: AgentDeps, settings: AgentSettings, mirrors: OwnMirrors) {
    this.#deps = deps;
    this.#settings = settings;
    this.#mirrors = mirrors;
  }

  /**
   * @returns after how many milliseconds what looks dead now is to be looked at again
   * @throws ManifoldError when the store or the API server cannot be used: nothing was ended on a guess
   */
  async pass(signal: AbortSignal): Promise<number | undefined> {
    const store = this.#deps.openStore();
    try {
      const goOn = new GoOn();
      await goOn.attempt(() => this.#finish(store, signal));
      const { pods, leases } = this.#mirrors;
      if (pods.synced && leases.synced) await this.#reclaim(store, goOn, signal);
      goOn.end();
      return this.suspects.any ? this.#settings.timings.suspect : undefined;
    } finally {
      store?.close();
      this.suspects.endPass();
      this.said.endPass();
    }
  }

  async #finish(store: NodeStore | undefined, signal: AbortSignal): Promise<void> {
    if (store === undefined) return;
    const cluster = clusterDeps(this.#deps, this.#settings, store);
    const count = await finishReleases(cluster, MOST_RELEASES, signal);
    if (count > 0) this.#deps.log.info('releases that were left undone are finished', { count });
  }

  async #reclaim(store: NodeStore | undefined, goOn: GoOn, signal: AbortSignal): Promise<void> {
    const { kernel, namespaces, log } = this.#deps;
    const living = livingPods(this.#mirrors.pods.values());
    const isLiving = (owner: string) => living.get(owner) === 'living';
    const evidence = store && readEvidence(store, kernel);
    if (evidence?.seesNamespaces(isLiving) === false && !seesAnother(kernel, namespaces())) {
      if (this.said.isNew('blind'))
        log.error('no namespace of this node can be seen: nothing is ended', {
          hint: 'Run the agent with hostPID, and with /run/netns and /var/run/netns of the node mounted with mountPropagation HostToContainer.',
        });
      return;
    }
    const asking: [Holding, OwnFacts][] = [];
    for (const holding of holdings(this.#mirrors.leases.values(), evidence?.rows ?? [])) {
      const facts = this.#factsOf(holding, evidence, living);
      const decision = planOwn(facts, this.#settings.timings.suspect);
      if (decision.do === 'ask') asking.push([holding, facts]);
      else this.#settle(holding, decision);
    }
    if (asking.length > 0) await this.#ask(asking, { evidence, store, goOn, signal });
    if (store !== undefined && evidence !== undefined)
      await repairRows({ ...this.#deps, store }, this.#settings, {
        ...{ evidence, isLiving, suspects: this.suspects, said: this.said, goOn, signal },
        leases: [...this.#mirrors.leases.values()],
      });
  }

  /** What has looked dead for long enough: the API server is asked, then the kernel, and what is dead is ended. */
  async #ask(
    asking: readonly (readonly [Holding, OwnFacts])[],
    { evidence, store, goOn, signal }: Asking,
  ): Promise<void> {
    const { kernel, log, client, namespaces } = this.#deps;
    const found = new Map<string, SeenPod | undefined>();
    await atOnce(asking, ASKED_AT_ONCE, async ([{ owner }]) => {
      const name = podName(owner);
      if (!found.has(name)) found.set(name, await readPod(client, owner, signal));
    });
    const rows = evidence?.rows ?? [];
    const answering = readAnswering(kernel, [...namespaces(), ...rows.map(({ netns }) => netns)]);
    for (const [holding, facts] of asking) {
      const { owner, address, key, name } = holding;
      const pod = podState(found.get(podName(owner)), owner);
      const answers = answersFor(holding, answering, kernel, rows);
      const decision = planOwn({ ...facts, asked: { pod, answers } }, this.#settings.timings.suspect);
      this.#settle(holding, decision);
      if (decision.do !== 'end') continue;
      await goOn.attempt(async () => {
        const outcome = await endOwn(this.#deps, this.#settings, store, holding, signal);
        const { because } = decision;
        log.info('a lease without a living holder', {
          address,
          lease: name,
          because,
          outcome,
          ...describe(holding),
        });
        this.suspects.clear(key);
      });
    }
  }

  #factsOf(
    { key, owner }: Holding,
    evidence: NodeEvidence | undefined,
    living: ReadonlyMap<string, 'living' | 'ended'>,
  ): OwnFacts {
    const isPod = isOfPod(owner);
    const facts: OwnFacts = {
      isPod,
      mirrored: living.get(owner.uid) ?? 'unseen',
      sandbox: evidence?.sandbox(owner.uid) ?? 'none',
      suspected: { passes: 0, ms: 0 },
    };
    // Whoever would be kept whatever was suspected before is not suspected.
    if (planOwn(facts).do === 'keep') return facts;
    return { ...facts, suspected: this.suspects.note(key, this.#deps.monotonicMs()) };
  }

  #settle(holding: Holding, decision: OwnDecision): void {
    if (decision.do !== 'keep' || !decision.odd) return;
    if (this.said.isNew(`kept ${holding.key}`))
      this.#deps.log.warn('a lease is kept', {
        ...{ address: holding.address, lease: holding.name, because: decision.because },
        ...{ ...describe(holding), hint: releaseHint(holding.address) },
      });
  }
}

/** By every UID that a runtime may have been given. */
function livingPods(pods: Iterable<SeenPod>): Map<string, 'living' | 'ended'> {
  const states = new Map<string, 'living' | 'ended'>();
  for (const { uids, hasEnded } of pods)
    for (const uid of uids) states.set(uid, hasEnded ? 'ended' : 'living');
  return states;
}

function podState(
  pod: SeenPod | undefined,
  { podNamespace, uid }: SeenOwner,
): NonNullable<OwnFacts['asked']>['pod'] {
  if (podNamespace === undefined) return 'unclear';
  if (pod === undefined || !pod.uids.includes(uid)) return 'none';
  return pod.hasEnded ? 'ended' : 'living';
}
