// What one agent does for all nodes, for as long as it leads: its mirrors are made when it begins to, and dropped after.
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import { IP_POOLS } from '../../ipam/ip-pool.ts';
import type { AgentDeps, AgentSettings } from './agent-deps.ts';
import { announceReclaimer } from './announce-reclaimer.ts';
import { keepPools } from './keep-pools.ts';
import { KnownNodes } from './known-nodes.ts';
import { Leadership } from './leadership.ts';
import { Loop } from './loop.ts';
import { Mirror } from './mirror.ts';
import { NodeLife } from './node-life.ts';
import { Pace } from './pace.ts';
import { type SeenPool, seenPool } from './pool-status.ts';
import { type LostParts, reclaimLost } from './reclaim-lost.ts';
import { SaidOnce } from './said-once.ts';
import { type SeenLease, seenLease } from './seen-lease.ts';
import { Suspects } from './suspects.ts';
import { sweepRested } from './sweep-rested.ts';

/** Ends and deletions for others, in all. */
const WRITES_PER_SECOND = 50;

/** Until the signal: leads whenever it can. */
export async function reclaimForAll(
  deps: AgentDeps,
  settings: AgentSettings,
  signal: AbortSignal,
): Promise<void> {
  const { leaseDuration, leaseRenew, leaseLook } = settings.timings;
  let term: AbortController | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  // Longer than a term: what was seen in an earlier one is seen.
  const memory = { known: new KnownNodes(), said: new SaidOnce() };
  const leadership = new Leadership(deps.client, {
    namespace: settings.namespace,
    identity: settings.nodeName,
    durationMs: leaseDuration,
    renewMs: leaseRenew,
    lookMs: leaseLook,
    log: deps.log,
    onChange() {
      term?.abort();
      term = undefined;
      if (!leadership.holds) return;
      term = new AbortController();
      const { signal: own } = term;
      // One term after the other.
      ended = ended.then(() =>
        serve(deps, settings, { leadership, ...memory }, AbortSignal.any([signal, own])),
      );
    },
  });
  await leadership.run(signal);
  term?.abort();
  await ended;
  await leadership.release(AbortSignal.timeout(2000));
}

async function serve(
  deps: AgentDeps,
  settings: AgentSettings,
  { leadership, known, said }: Pick<LostParts, 'known' | 'said'> & { readonly leadership: Leadership },
  signal: AbortSignal,
): Promise<void> {
  const { client, log } = deps;
  const { timings } = settings;
  const pace = new Pace(WRITES_PER_SECOND);
  const life = new NodeLife(timings.pass);
  const suspects = new Suspects();
  const poolLoop = new Loop({
    name: 'the status of pools',
    everyMs: timings.pass,
    gatherMs: timings.pool,
    log,
    async pass(passSignal) {
      if (leases.synced && pools.synced) await keepPools(deps, { leadership, leases, pools }, passSignal);
      return undefined;
    },
  });
  const onChange = () => poolLoop.trigger();
  const leases = new Mirror<SeenLease>(client, { resource: IP_LEASES, read: seenLease, onChange, log });
  const pools = new Mirror<SeenPool>(client, { resource: IP_POOLS, read: seenPool, onChange, log });
  const loop = (name: string, pass: (passSignal: AbortSignal) => Promise<void>) =>
    new Loop({
      ...{ name, everyMs: timings.pass, gatherMs: timings.gather, log },
      async pass(passSignal) {
        if (!leases.synced) return timings.gather;
        if (!leadership.holds) return undefined;
        // Each time: one that led before may have written late.
        await announceReclaimer(client, settings.nodeName, passSignal);
        await pass(passSignal);
        return undefined;
      },
    });
  const lost = loop('the reclaiming of what lost nodes hold', (passSignal) =>
    reclaimLost(deps, settings, { leadership, leases, life, pace, suspects, known, said }, passSignal),
  );
  const sweep = loop('the deletion of what has rested', (passSignal) =>
    sweepRested(deps, { leadership, leases, pace }, passSignal),
  );
  await Promise.all([leases, pools, lost, sweep, poolLoop].map((part) => part.run(signal)));
}
