// The addresses of all attachments of a pod, claimed at once before the first interface is made: a pod for which one
// network has no address left takes none from the others.
import { claimForPod, claimRequestOf } from '../ipam/claims.ts';
import { parseIpamConfig } from '../ipam/config.ts';
import type { ClaimRequest } from '../ipam/lease-store.ts';
import { nodeLeaseStore } from '../ipam/node-lease-store.ts';
import { describePod } from '../pkg/attach/deps.ts';
import { deriveConfig } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import type { MetaDeps } from './deps.ts';
import { listOfRecord, networkNameOf, placeOf } from './journal.ts';
import { ipamTypeOf } from './network.ts';

const OUR_IPAM = 'manifold-ipam';

/** The ADD of each attachment's IPAM then finds its own. @throws ManifoldError as LeaseStore.claim, naming the pod */
export async function claimAddresses(
  deps: MetaDeps,
  store: NodeStore,
  records: readonly AttachmentRecord[],
): Promise<void> {
  const requests = records.flatMap(requestsOf);
  if (requests.length === 0) return;
  try {
    await claimForPod(nodeLeaseStore(store, deps), requests);
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

function requestsOf(record: AttachmentRecord): ClaimRequest[] {
  const list = listOfRecord(record);
  const { capabilityArgs } = placeOf(record, record.netns, []);
  return list.plugins
    .filter((plugin) => ipamTypeOf(plugin.config) === OUR_IPAM)
    .map((plugin) => {
      const config = parseIpamConfig(deriveConfig(list, plugin, { capabilityArgs }));
      return claimRequestOf(config, { ...record, network: list.name });
    });
}

/** Frees what was claimed for an attachment whose plugins were never called. None is no error. */
export const releaseClaims = (deps: MetaDeps, store: NodeStore, record: AttachmentRecord): Promise<void> =>
  nodeLeaseStore(store, deps).release({ ...record, network: networkNameOf(record) });
