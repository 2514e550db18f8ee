// Carries a plan of the migration out. Each step is by itself, checked by UID and resourceVersion, and may be repeated:
// a run that is killed is taken up by the next one.
import { IP_LEASES, type IpLease, type IpLeaseSpec, isHeldBy, timeText } from '../../ipam/ip-lease.ts';
import type { Action } from '../../ipam/whereabouts/migration/plan.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import { atOnce } from '../agent/at-once.ts';

/** As many as the client has connections. */
const AT_ONCE = 4;
const SAID_EVERY = 500;
/** Until a run that was killed in between is taken up by another. */
const KEPT_SECONDS = 86_400;

export interface Applied {
  readonly done: number;
  /** Had changed since they were read: the next round looks again. */
  readonly changed: number;
}

export async function applyActions(
  client: KubeClient,
  actions: readonly Action[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Applied> {
  let [done, changed] = [0, 0];
  await atOnce(actions, AT_ONCE, async (action) => {
    signal.throwIfAborted();
    if (await applyOne(client, action, signal)) done++;
    else changed++;
    if ((done + changed) % SAID_EVERY === 0) say(`${done + changed} of ${actions.length} leases written.`);
  });
  return { done, changed };
}

/** @returns false when it has changed meanwhile */
async function applyOne(client: KubeClient, action: Action, signal: AbortSignal): Promise<boolean> {
  const { lease } = action;
  try {
    switch (action.do) {
      case 'create':
        await client.create<IpLease>(IP_LEASES, lease, { signal, isOurs: (found) => isSame(found, lease) });
        return true;
      case 'rest':
        await client.replace<IpLease>(IP_LEASES, lease, { signal });
        return true;
      case 'replace':
        await replace(client, lease, action.before, signal);
        return true;
    }
    return action satisfies never;
  } catch (error) {
    if (isKubeError(error, 'AlreadyExists', 'Conflict', 'NotFound')) return false;
    throw error;
  }
}

const isSame = (found: IpLease, { spec }: IpLease): boolean =>
  found.spec.phase === spec.phase &&
  found.spec.owner.containerID === spec.owner.containerID &&
  (spec.phase !== 'Held' ||
    isHeldBy(found, { owner: spec.owner.uid, ifname: spec.owner.interface, network: spec.network }));

/** A held lease does not change hands: it is let go first, and kept from everybody until it is taken again. */
async function replace(
  client: KubeClient,
  wanted: IpLease,
  before: IpLeaseSpec,
  signal: AbortSignal,
): Promise<void> {
  const { spec, metadata } = wanted;
  const isHandedOver =
    before.phase === 'Held' &&
    (spec.owner.uid !== before.owner.uid ||
      spec.owner.interface !== before.owner.interface ||
      spec.network !== before.network);
  let state = {};
  if (isHandedOver) {
    const until = timeText(Date.parse(spec.acquired) + KEPT_SECONDS * 1000);
    const kept = {
      phase: 'Resting',
      released: spec.acquired,
      until,
      reuseDelaySeconds: KEPT_SECONDS,
    } as const;
    const rested = await client.replace<IpLease>(
      IP_LEASES,
      { ...wanted, spec: { ...before, ...kept } },
      { signal },
    );
    state = stateOf(rested);
  }
  await client.replace<IpLease>(IP_LEASES, { ...wanted, metadata: { ...metadata, ...state } }, { signal });
}

const stateOf = ({ metadata: { uid, resourceVersion } }: IpLease) => ({
  ...(uid !== undefined && { uid }),
  ...(resourceVersion !== undefined && { resourceVersion }),
});
