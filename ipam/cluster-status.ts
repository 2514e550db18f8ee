// STATUS over the cluster's leases: whether the API server can be reached, would let us claim, and has an address left.
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { parseAddress } from '../pkg/ip/address.ts';
import type { KubeResource, RawObject } from '../pkg/kube/kube-client.ts';
import { type ClusterDeps, DEADLINE_MS } from './cluster-deps.ts';
import { ClusterKnowledge, LEVEL } from './cluster-knowledge.ts';
import { type Choice, clusterView, Unread } from './cluster-view.ts';
import { readLease } from './end-lease.ts';
import { exhausted } from './exhausted.ts';
import { IP_LEASES } from './ip-lease.ts';
import { leaseName } from './lease-name.ts';
import type { ClaimRequest } from './lease-store.ts';
import { capacityOf, isUsable, type Pool } from './pool.ts';

/** Ranges of more addresses are not counted: a runtime asks for STATUS every few seconds. */
const MOST_COUNTED = 256n;
/** For so long the right to create leases is believed in. */
const RIGHTS_MS = 60_000;

/** @throws ManifoldError 'unavailable', 'try-later', 'api', 'state' */
export async function ensureClusterServes(
  deps: ClusterDeps,
  network: string,
  sets: readonly (readonly Pool[])[],
  signal = AbortSignal.timeout(DEADLINE_MS.look),
): Promise<void> {
  deps.store.ensureWritable();
  await ensureMayClaim(deps, signal);
  const countable = sets.filter((pools) => pools.every((pool) => capacityOf(pool) <= MOST_COUNTED));
  const knowledge = new ClusterKnowledge(deps);
  for (const pools of countable) await ensureRoom(deps, knowledge, network, pools, signal);
  const [first] = sets.flat();
  // Nothing else has asked whether leases can be read.
  if (countable.length === 0 && first !== undefined) await readAny(deps, first, signal);
}

async function readAny({ client }: ClusterDeps, pool: Pool, signal: AbortSignal): Promise<void> {
  const [range] = pool.usable;
  if (range === undefined) return;
  await readLease(client, leaseName(pool.domain, { family: range.family, value: range.first }), signal);
}

async function ensureRoom(
  deps: ClusterDeps,
  knowledge: ClusterKnowledge,
  network: string,
  pools: readonly Pool[],
  signal: AbortSignal,
): Promise<void> {
  for (const level of [LEVEL.names, LEVEL.leases, LEVEL.leasesOfDomain]) {
    for (const pool of pools) await knowledge.read(pool, level, signal);
    const choice: Choice = { deps, knowledge, unread: new Unread(), chosen: new Set() };
    const view = clusterView(choice, nobody(network, pools));
    const hasRoom = pools.some(
      (pool) =>
        view.nextFree(pool) !== undefined ||
        (level !== LEVEL.names &&
          Iterator.from(view.reusable(pool)).some(({ address }) => isUsable(pool, parseAddress(address)))),
    );
    if (hasRoom) return;
    if (level === LEVEL.leasesOfDomain) throw exhausted('serve ADD', network, pools, view, 'unavailable');
  }
}

const nobody = (network: string, pools: readonly Pool[]): ClaimRequest => ({
  ...{ network, containerId: '', ifname: '', netns: '', owner: '', pod: {}, sets: [pools] },
  ...{ fixed: [], gateways: [], requested: [] },
});

const ACCESS_REVIEWS: KubeResource = {
  ...{ group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews' },
  ...{ kind: 'SelfSubjectAccessReview', namespaced: false },
};

/** Asked once a minute and node: everybody may ask this of himself (ClusterRole system:basic-user). */
async function ensureMayClaim({ client, store }: ClusterDeps, signal: AbortSignal): Promise<void> {
  const key = 'may create ipleases';
  const age = Date.now() - Number(store.copies.get(key)?.readAt ?? Number.NaN);
  if (age >= 0 && age < RIGHTS_MS) return;
  const { group, plural, version } = IP_LEASES;
  const review: RawObject = {
    apiVersion: `${ACCESS_REVIEWS.group}/${ACCESS_REVIEWS.version}`,
    kind: ACCESS_REVIEWS.kind,
    metadata: { name: '' },
    spec: { resourceAttributes: { verb: 'create', group, version, resource: plural } },
  };
  const { status } = await client.create<RawObject>(ACCESS_REVIEWS, review, { isOurs: () => true, signal });
  const allowed = typeof status === 'object' && status !== null && 'allowed' in status && status.allowed;
  if (allowed !== true)
    throw new ManifoldError('unavailable', `Cannot serve ADD: this node may not create ${plural}.${group}`, {
      hint: 'Bind the ClusterRole manifold-plugin (deploy/rbac.yaml) to the user of its kubeconfig.',
    });
  store.copies.put(key, { readAt: Date.now() });
}
