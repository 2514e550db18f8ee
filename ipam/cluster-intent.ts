// What a claim is about to ask the API server for, as the rows that say so beforehand.

import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { formatAddress, parseAddress } from '../pkg/ip/address.ts';
import { cidrContains, formatCidr, subnetOf } from '../pkg/ip/cidr.ts';
import { isSameCluster } from '../pkg/kube/cluster-identity.ts';
import type { ClusterLeaseRecord } from '../pkg/state/node-store.ts';
import type { ClusterDeps } from './cluster-deps.ts';
import type { ClusterKnowledge } from './cluster-knowledge.ts';
import { leaseName } from './lease-name.ts';
import { type ObjectState, objectState } from './lease-row.ts';
import type { ClaimRequest, Grant } from './lease-store.ts';
import { ownOnNode } from './other-store.ts';
import { isUsable, type Pool } from './pool.ts';

export interface Intent {
  /** As it is written before the API server is asked. */
  readonly row: ClusterLeaseRecord;
  /** The pool that it was drawn from; undefined for an address that must be this one. */
  readonly pool: Pool | undefined;
  /** No other address will do. */
  readonly insist: boolean;
  /** State of the object that is to be taken over. */
  readonly over: ObjectState | undefined;
  /** This container has it already: nobody is asked. */
  readonly isKept: boolean;
  /** The owner had a row of it before this claim. */
  readonly wasThere: boolean;
  /** The object is this owner's whether or not the API server can be asked now. */
  readonly isOursAnyhow: boolean;
}

export function intentOf(
  { store, client }: ClusterDeps,
  knowledge: ClusterKnowledge,
  request: ClaimRequest,
  grant: Grant,
  cluster: string | undefined,
): Intent {
  const { network, owner, ifname, containerId, pod, netns } = request;
  const { reuseDelaySeconds, stickySeconds } = grant.terms;
  const name = leaseName(grant.domain, grant.address);
  const there = ownRow(store.clusterLeases.get(name), request);
  // Of another cluster: this one is asked for the same address.
  const before = isSameCluster(there?.cluster, cluster) ? there : undefined;
  const known = knowledge.lease(name);
  const wasHeld = before !== undefined && before.state !== 'resting';
  const object = wasHeld ? before.object : undefined;
  const row: ClusterLeaseRecord = {
    name,
    ...(cluster !== undefined && { cluster }),
    domain: grant.domain,
    address: formatAddress(grant.address),
    subnet: formatCidr(subnetOf(grant)),
    ...{ network, owner, ifname, containerId, pod, netns },
    state: 'claiming',
    ...(object !== undefined && { object }),
    acquired: wasHeld ? before.acquired : client.now(),
    ...(reuseDelaySeconds !== undefined && { reuseDelaySeconds }),
    ...(stickySeconds !== undefined && { stickySeconds }),
    writer: store.writer,
  };
  const isWanted = isMeant(request, grant);
  const isOnNode = ownOnNode({ store }, request).some(
    ({ domain, address }) => domain === row.domain && address === row.address,
  );
  return {
    row,
    pool: isWanted ? undefined : poolOf(request, grant),
    insist: isWanted || there !== undefined || known !== undefined || isOnNode,
    over: (known && objectState(known)) ?? before?.object,
    isKept:
      (before?.state === 'held' || before?.state === 'claimed') &&
      object !== undefined &&
      before.containerId === containerId,
    wasThere: there !== undefined,
    isOursAnyhow: object !== undefined,
  };
}

const ownRow = (row: ClusterLeaseRecord | undefined, { owner, ifname, network }: ClaimRequest) =>
  row?.owner === owner && row.ifname === ifname && row.network === network ? row : undefined;

/** Fixed, or requested. */
function isMeant({ fixed, requested }: ClaimRequest, { domain, address }: Grant): boolean {
  const same = (other: Grant['address']) => other.family === address.family && other.value === address.value;
  return requested.some(same) || fixed.some((one) => one.domain === domain && same(one.cidr.address));
}

const poolOf = ({ sets }: ClaimRequest, { domain, address }: Grant): Pool | undefined =>
  sets.flat().find((pool) => pool.domain === domain && isUsable(pool, address));

/** A row that a claim has changed. */
export interface Changed {
  /** Undefined where the owner had none. */
  readonly was: ClusterLeaseRecord | undefined;
  readonly row: ClusterLeaseRecord;
}

/** To be called inside the transaction of the choice. @param before is told what each changed row was */
export function writeIntents(
  { store, client }: ClusterDeps,
  intents: readonly Intent[],
  as: 'claimed' | 'held',
  before: Map<string, Changed>,
): void {
  const { clusterLeases } = store;
  for (const { row, isKept } of intents) {
    const there = clusterLeases.get(row.name);
    const wanted: ClusterLeaseRecord = isKept ? { ...row, state: as } : row;
    if (there !== undefined && isSame(there, wanted)) continue;
    if (!before.has(row.name)) before.set(row.name, { was: ownRowOf(there, row), row });
    // What rests here for another owner is over, or gives way.
    if (there?.state === 'resting' && ownRowOf(there, row) === undefined) clusterLeases.remove(there);
    if (!clusterLeases.claim(wanted))
      throw new ManifoldError('try-later', `Cannot claim ${row.address}: another pod of this node is at it`, {
        hint: `Try again. The record of ${there?.pod.name ?? there?.containerId} says so since ${new Date(there?.acquired ?? client.now()).toISOString()}.`,
      });
  }
}

const ownRowOf = (there: ClusterLeaseRecord | undefined, row: ClusterLeaseRecord) =>
  there?.owner === row.owner && there.ifname === row.ifname && there.network === row.network
    ? there
    : undefined;

const isSame = (a: ClusterLeaseRecord, b: ClusterLeaseRecord): boolean =>
  a.state === b.state &&
  a.containerId === b.containerId &&
  a.netns === b.netns &&
  a.writer.pid === b.writer.pid &&
  a.writer.startTime === b.writer.startTime;

/**
 * What the owners had of these ranges and are not given again, since they ask for others now. What they have beside
 * them may be another plugin's of the same list.
 */
export function leftoversOf(
  { store }: ClusterDeps,
  requests: readonly ClaimRequest[],
  grants: readonly (readonly Grant[])[],
): ClusterLeaseRecord[] {
  const given = new Set(grants.flat().map(({ domain, address }) => leaseName(domain, address)));
  return requests.flatMap((request) =>
    store.clusterLeases.ofOwner(request.owner, request.ifname).filter((row) => {
      if (row.network !== request.network || given.has(row.name)) return false;
      if (row.state === 'resting' || row.state === 'releasing') return false;
      const address = parseAddress(row.address);
      return request.sets
        .flat()
        .some(
          (pool) =>
            pool.domain === row.domain && cidrContains(pool.subnet, address) && isUsable(pool, address),
        );
    }),
  );
}
