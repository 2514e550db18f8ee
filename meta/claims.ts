// The addresses of all attachments of a pod, claimed at once before the first interface is made: a pod for which one
// network has no address left takes none from the others.
import { claimForPod, claimRequestOf } from '../ipam/claims.ts';
import { DEADLINE_MS } from '../ipam/cluster-deps.ts';
import { type IpamConfig, leasePlaceOf, parseIpamConfig } from '../ipam/config.ts';
import type { ClaimRequest } from '../ipam/lease-store.ts';
import { nodeNameOf } from '../ipam/node-name.ts';
import { openLeaseStore } from '../ipam/open-lease-store.ts';
import { withPools } from '../ipam/pool-reference.ts';
import { describePod, podOf } from '../pkg/attach/deps.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { deriveConfig } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { Logger } from '../pkg/log/logger.ts';
import type { AttachmentRecord } from '../pkg/state/node-store.ts';
import type { MetaDeps } from './deps.ts';
import { listOfRecord, networkNameOf, placeOf } from './journal.ts';
import { ipamTypeOf } from './network.ts';

const OUR_IPAM = 'manifold-ipam';

interface Wish {
  readonly config: IpamConfig;
  readonly request: ClaimRequest;
}

/** The ADD of each attachment's IPAM then finds its own. @throws ManifoldError as LeaseStore.claim, naming the pod */
export async function claimAddresses(
  deps: MetaDeps,
  log: Logger,
  records: readonly AttachmentRecord[],
): Promise<void> {
  try {
    const wishes = await Promise.all(
      records.flatMap((record) => configsOf(record).map((raw) => wishOf(deps, record, raw))),
    );
    // This node's store first: it costs nothing to ask, and a failure here needs no answer of an API server.
    const places = Object.entries(Object.groupBy(wishes, ({ config }) => config.kubeconfig ?? ''));
    for (const [, ofPlace = []] of places.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [first] = ofPlace;
      if (first === undefined) continue;
      const requests = ofPlace.map(({ request }) => request);
      await claimForPod(openLeaseStore(deps, first.config, log), requests);
    }
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    const [first] = records;
    const pod = first === undefined ? 'the pod' : describePod(first.pod, first.containerId);
    throw new ManifoldError(error.code, `Cannot attach ${pod}: ${error.message}`, {
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error.cause !== undefined && { cause: error.cause }),
    });
  }
}

/** What the plugins of an attachment that call our IPAM plugin are given. */
function configsOf(record: AttachmentRecord): JsonObject[] {
  const list = listOfRecord(record);
  const { capabilityArgs } = placeOf(record, record.netns, []);
  return list.plugins
    .filter((plugin) => ipamTypeOf(plugin.config) === OUR_IPAM)
    .map((plugin) => deriveConfig(list, plugin, { capabilityArgs }));
}

async function wishOf(deps: MetaDeps, record: AttachmentRecord, raw: JsonObject): Promise<Wish> {
  const parsed = parseIpamConfig(raw);
  const config = await withPoolsRead(deps, parsed, record);
  return { config, request: claimRequestOf(config, { ...record, network: networkNameOf(record) }) };
}

async function withPoolsRead(
  deps: MetaDeps,
  config: IpamConfig,
  record: AttachmentRecord,
): Promise<IpamConfig> {
  if (config.kubeconfig === undefined) return config;
  const { now } = deps;
  const poolDeps = { client: deps.kube(config.kubeconfig), store: deps.openStore(config), now };
  const user = { pod: podOf(record.args), nodeName: nodeNameOf(config.nodeName) };
  return withPools(config, poolDeps, user, AbortSignal.timeout(DEADLINE_MS.claim));
}

/** Frees what was claimed for an attachment whose plugins were never called. None is no error. */
export async function releaseClaims(deps: MetaDeps, log: Logger, record: AttachmentRecord): Promise<void> {
  const places = new Map(
    configsOf(record)
      .map(leasePlaceOf)
      .map((place) => [place.kubeconfig, place]),
  );
  for (const place of places.values())
    await openLeaseStore(deps, place, log).release({ ...record, network: networkNameOf(record) });
}
