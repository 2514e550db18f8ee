// The addresses of all attachments of a pod, claimed at once before the first interface is made: a pod for which one
// network has no address left takes none from the others.
import { claimForPod, claimRequestOf } from '../ipam/claims.ts';
import { DEADLINE_MS } from '../ipam/cluster-deps.ts';
import { type IpamConfig, leasePlaceOf, parseIpamConfig } from '../ipam/config.ts';
import type { ClaimRequest } from '../ipam/lease-store.ts';
import { openLeaseStore } from '../ipam/open-lease-store.ts';
import { completedConfig, isOurIpam } from '../ipam/our-ipam.ts';
import { resolvePools } from '../ipam/resolve-pools.ts';
import { describePod } from '../pkg/attach/deps.ts';
import type { Call, JsonObject } from '../pkg/cni/plugin.ts';
import { deriveConfig } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { listOfRecord, networkNameOf, placeOf } from './journal.ts';
import { ipamTypeOf } from './network.ts';
import { searchPath } from './ourselves.ts';
import { ownTypesFor } from './own-types.ts';

interface Wish {
  readonly config: IpamConfig;
  readonly request: ClaimRequest;
}

/** The ADD of each attachment's IPAM then finds its own. @throws ManifoldError as LeaseStore.claim, naming the pod */
export async function claimAddresses(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  records: readonly AttachmentRecord[],
): Promise<void> {
  const { log } = call;
  try {
    const wishes = await Promise.all(
      records.flatMap((record) =>
        configsOf(deps, call, record, false).map((raw) => wishOf(deps, record, raw)),
      ),
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
function configsOf(
  deps: MetaDeps,
  { config, path }: Call<MetaConfig>,
  record: AttachmentRecord,
  forDel: boolean,
): JsonObject[] {
  const list = listOfRecord(record);
  const ownTypes = ownTypesFor(deps, searchPath(config.binDir, path));
  const { capabilityArgs } = placeOf(record, record.netns, []);
  return list.plugins.flatMap((plugin) => {
    const type = ipamTypeOf(plugin.config);
    if (!isOurIpam(type, ownTypes)) return [];
    return [completedConfig(type, deriveConfig(list, plugin, { capabilityArgs }), forDel)];
  });
}

async function wishOf(deps: MetaDeps, record: AttachmentRecord, raw: JsonObject): Promise<Wish> {
  const claimant = { ...record, network: networkNameOf(record) };
  const signal = AbortSignal.timeout(DEADLINE_MS.claim);
  const config = await resolvePools(deps, parseIpamConfig(raw), claimant, signal);
  return { config, request: claimRequestOf(config, claimant) };
}

/** Frees what was claimed for an attachment whose plugins were never called. None is no error. */
export async function releaseClaims(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  record: AttachmentRecord,
): Promise<void> {
  const places = new Map(
    configsOf(deps, call, record, true)
      .map(leasePlaceOf)
      .map((place) => [place.kubeconfig, place]),
  );
  for (const place of places.values())
    await openLeaseStore(deps, place, call.log).release({ ...record, network: networkNameOf(record) });
}
