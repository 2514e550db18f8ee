// DEL: everything that the journal has of this call, last first. Nothing that is missing is an error.
import { describePod, podOf } from '../pkg/attach/deps.ts';
import { parseNetworkList } from '../pkg/cni/network-list.ts';
import type { DelCall } from '../pkg/cni/plugin.ts';
import { deleteCachedResult, listCachedResults } from '../pkg/cni/result-cache.ts';
import { deleteList } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { describeFailures, detachAll } from './detach.ts';
import { attachmentsOfCall, NETWORKS_ARG } from './journal.ts';
import { listOf } from './network.ts';
import { readEveryPodNetworks } from './networks.ts';
import { searchPath } from './ourselves.ts';
import { networkSources } from './read-plan.ts';
import { readSettled } from './under-way.ts';

/**
 * Waits for another process that is at the same sandbox.
 * @throws ManifoldError 'try-later' when that process does not end; at the end, naming every network that could not be
 *   taken back: they stay in the journal
 */
export async function del(deps: MetaDeps, call: DelCall<MetaConfig>): Promise<void> {
  const store = readableStore(deps, call);
  if (store === undefined) await delCached(call);
  const records = store === undefined ? [] : await readSettled(store, () => attachmentsOfCall(store, call));
  if (store === undefined || records.length === 0) return delUnrecorded(deps, call, store);
  const failures = await detachAll(deps, call, store, records, call.netns);
  const [first] = failures;
  if (first === undefined) return;
  const pod = describePod(first.record.pod, call.containerId);
  const { cniCode, hint } = first.error;
  throw new ManifoldError(first.error.code, `Cannot detach ${pod} from ${describeFailures(failures)}`, {
    hint: hint ?? 'Mend the cause; the next DEL tries again what is left.',
    ...(cniCode !== undefined && { cniCode }),
  });
}

function readableStore(deps: MetaDeps, call: DelCall<MetaConfig>): NodeStore | undefined {
  try {
    const store = deps.openStore(call.config.manifold);
    attachmentsOfCall(store, call);
    return store;
  } catch (error) {
    // Damaged, or of a later version: what libcni's cache has, and the default network, can still be taken back.
    if (!isManifoldError(error, 'state')) throw error;
    call.log.warn('journal cannot be read', { reason: error.message });
    return undefined;
  }
}

/** The journal cannot be read: libcni's cache has an entry for each delegate, the interface of the call comes last. */
async function delCached(call: DelCall<MetaConfig>): Promise<void> {
  const { cniDir, manifold, binDir } = call.config;
  const directory = cniDir ?? manifold.stateDir;
  const warn = (reason: string) => call.log.warn('cached result cannot be read', { reason });
  const entries = listCachedResults(directory, warn).filter(
    (entry) => entry.containerId === call.containerId && entry.ifname !== call.ifname,
  );
  for (const entry of entries.reverse()) {
    const { network, containerId, ifname, args, capabilityArgs } = entry;
    const place = {
      containerId,
      ifname,
      netns: call.netns,
      args,
      capabilityArgs,
      path: searchPath(binDir, call.path),
    };
    try {
      await deleteList(parseNetworkList(entry.config, network), place, call.delegates, entry.result);
      deleteCachedResult(directory, entry);
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      call.log.warn('delegate failed to delete what the cache has', { network, reason: error.message });
    }
  }
}

/**
 * Never added, already deleted, or added by another tool: what the configuration says every pod gets is deleted, as
 * the plugins' own DEL must bear (CNI specification, "DEL").
 */
async function delUnrecorded(
  deps: MetaDeps,
  call: DelCall<MetaConfig>,
  store: NodeStore | undefined,
): Promise<void> {
  const { containerId, netns, config } = call;
  const { [NETWORKS_ARG]: _, ...args } = call.args;
  const path = searchPath(config.binDir, call.path);
  for (const [position, network] of networksToTry(deps, call).entries()) {
    const ifname = position === 0 ? call.ifname : `net${position}`;
    // Made by the call for another CNI_IFNAME of this container.
    if (store?.attachments.get({ containerId, ifname }) !== undefined) continue;
    const place = { containerId, ifname, netns, args, path };
    try {
      await deleteList(
        listOf(network.config, network.source),
        place,
        call.delegates,
        position === 0 ? call.prevResult : undefined,
      );
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      call.log.warn('delegate failed to delete what was never recorded', {
        network: network.label,
        reason: error.message,
      });
    }
  }
}

function networksToTry(deps: MetaDeps, call: DelCall<MetaConfig>) {
  try {
    return readEveryPodNetworks(networkSources(deps, call));
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    const pod = describePod(podOf(call.args), call.containerId);
    call.log.warn('nothing recorded, and no default network to delete', { pod, reason: error.message });
    return [];
  }
}
