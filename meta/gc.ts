// GC: what the runtime does not list any more is freed, in every network that the journal or the configuration knows.

import type { NetworkList } from '../pkg/cni/network-list.ts';
import type { AttachmentId, GcCall } from '../pkg/cni/plugin.ts';
import { collectList } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { withLongLock } from '../pkg/state/long-lock.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import { byCall, namespaceOf } from './clear.ts';
import { type MetaConfig, refuseUnsupported } from './config.ts';
import { configuredNetworks } from './configured-networks.ts';
import type { MetaDeps } from './deps.ts';
import { describeFailures, detachAll } from './detach.ts';
import { callOf, listOfRecord, networkNameOf } from './journal.ts';
import { listOf } from './network.ts';
import { readEveryPodNetworks } from './networks.ts';
import { searchPath } from './ourselves.ts';
import { networkSources } from './read-plan.ts';
import { sweepCache } from './sweep-cache.ts';
import { isUnderWay } from './under-way.ts';

const keyOf = ({ containerId, ifname }: AttachmentId): string => `${containerId}/${ifname}`;

/** Goes on after a failure. @throws ManifoldError that has them all */
export async function gc(deps: MetaDeps, call: GcCall<MetaConfig>): Promise<void> {
  refuseUnsupported(call.raw);
  const store = deps.openStore(call.config.manifold);
  // Two passes at once would each report what the other has just taken away.
  await withLongLock(store.directory, 'gc', () => collect(deps, call, store));
}

async function collect(deps: MetaDeps, call: GcCall<MetaConfig>, store: NodeStore): Promise<void> {
  const before = store.attachments.all();
  const valid = new Set(call.valid.map(keyOf));
  const failures: string[] = [];
  for (const records of byCall(before)) {
    const [first] = records;
    if (first === undefined || valid.has(keyOf(callOf(first))) || isUnderWay(store, records)) continue;
    deps.step('collect');
    const left = await detachAll(deps, call, store, records, namespaceOf(deps, store, records));
    if (left.length > 0) failures.push(describeFailures(left));
  }
  failures.push(...(await collectNetworks(deps, call, store, before)));
  if (failures.length === 0) return;
  throw new ManifoldError('delegate', `Cannot collect everything: ${failures.join('; ')}`, {
    hint: 'What could be freed is free. Mend the cause; the next GC or DEL tries the rest again.',
  });
}

interface KnownNetwork {
  readonly list: NetworkList;
  /** True for the network that the runtime's own list speaks of. */
  readonly isDefault: boolean;
}

/** GC of the plugins themselves: they may hold what no journal speaks of. */
async function collectNetworks(
  deps: MetaDeps,
  call: GcCall<MetaConfig>,
  store: NodeStore,
  before: readonly AttachmentRecord[],
): Promise<string[]> {
  const known = knownNetworks(deps, call, before);
  // Of a sandbox that another tool attached, only the default network's interface is known: the plugins of the other
  // networks would take what it has there for garbage.
  const ours = new Set(store.attachments.all().map((record) => record.containerId));
  const strangers = call.valid.filter((id) => !ours.has(id.containerId));
  const failures: string[] = [];
  for (const { list, isDefault } of known) {
    if (!isDefault && strangers.length > 0) {
      call.log.warn('network is not collected: there are sandboxes that manifold did not attach', {
        network: list.name,
        sandboxes: strangers.length,
      });
      continue;
    }
    // Read for each network anew: the one before may have taken its time, and ADDs go on meanwhile.
    const attached = store.attachments.all().filter((record) => networkNameOf(record) === list.name);
    const may = new Map([...attached, ...(isDefault ? call.valid : [])].map((id) => [keyOf(id), id]));
    try {
      deps.step(`collect ${list.name}`);
      const ids = [...may.values()].map(({ containerId, ifname }) => ({ containerId, ifname }));
      await collectList(list, ids, call.delegates, { path: searchPath(call.config.binDir, call.path) });
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      failures.push(`network ${list.name}: ${error.message}`);
    }
  }
  sweepCache(call, store, new Set(known.map(({ list }) => list.name)));
  return failures;
}

/** Every distinct configuration list: of what is or was attached, and of what every pod gets. */
function knownNetworks(
  deps: MetaDeps,
  call: GcCall<MetaConfig>,
  records: readonly AttachmentRecord[],
): KnownNetwork[] {
  const known = new Map<string, KnownNetwork>();
  const add = (list: NetworkList, isDefault: boolean) => {
    const same = known.get(list.source);
    known.set(list.source, { list, isDefault: isDefault || same?.isDefault === true });
  };
  const sources = networkSources(deps, call);
  try {
    for (const [position, network] of readEveryPodNetworks(sources).entries())
      add(listOf(network.config, network.source), position === 0);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    call.log.warn('the default network is not collected', { reason: error.message });
  }
  const passedOver = (error: ManifoldError) =>
    call.log.warn('a network of the configuration is not collected', { reason: error.message });
  for (const network of configuredNetworks(sources, call, passedOver))
    add(listOf(network.config, network.source), false);
  for (const record of records) add(listOfRecord(record), record.position === 0);
  return [...known.values()];
}
