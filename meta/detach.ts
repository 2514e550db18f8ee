// Takes the attachments of one call back, last first (NPWG 7.2: all are tried). From the journal alone: definitions,
// pod and namespace may be gone. Behind DEL, GC, the undoing of a failed ADD and the clearing of an unfinished one.
import type { Call } from '../pkg/cni/plugin.ts';
import { deleteCachedResult } from '../pkg/cni/result-cache.ts';
import { deleteList } from '../pkg/cni/run-list.ts';
import { isManifoldError, type ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { Kernel, Namespace } from '../pkg/kernel/kernel.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import { deferRelease } from '../pkg/state/spool.ts';
import { releaseClaims } from './claims.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { listOfRecord, netnsIdOf, networkNameOf, placeOf, resultOfRecord } from './journal.ts';
import { searchPath } from './ourselves.ts';
import { linksToReap } from './reap.ts';

/** An attachment that could not be taken back: its record stays, so that the next DEL tries again. */
export interface DetachFailure {
  readonly record: AttachmentRecord;
  readonly error: ManifoldError;
}

/**
 * @param records of one call, in order of position
 * @param netns what the runtime gives now; the journal's where it gives none is asked for by the caller
 */
export async function detachAll(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  store: NodeStore,
  records: readonly AttachmentRecord[],
  netns: string | undefined,
): Promise<DetachFailure[]> {
  const failures: DetachFailure[] = [];
  const place = samePlace(deps.kernel, records, netns);
  try {
    if (place !== undefined) reapLinks(deps, call, store, records, place);
    for (const record of [...records].reverse()) {
      try {
        if (record.state !== 'planned') await detachOne(deps, call, store, record, place?.path);
        deps.step(`forget ${record.ifname}`);
        await forget(deps, store, record, call);
      } catch (error) {
        if (!isManifoldError(error)) throw error;
        failures.push({ record, error });
      }
    }
  } finally {
    place?.close();
  }
  return failures;
}

/** The pod's namespace, unless it is gone or its path leads to another namespace by now. */
function samePlace(
  kernel: Kernel,
  records: readonly AttachmentRecord[],
  netns: string | undefined,
): Namespace | undefined {
  const opened = netns === undefined ? undefined : kernel.openIfThere(netns);
  const known = records.map(netnsIdOf).find((id) => id !== undefined);
  if (opened === undefined || known === undefined || opened.id === known) return opened;
  opened.close();
  return undefined;
}

function reapLinks(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  store: NodeStore,
  records: readonly AttachmentRecord[],
  pod: Namespace,
): void {
  deps.step('reap links');
  const indexes = linksToReap(store, records, pod);
  if (indexes.length < 2) return;
  try {
    pod.deleteLinks(indexes);
  } catch (error) {
    // Each plugin tries for itself next, and says why it cannot.
    if (!isManifoldError(error, 'kernel')) throw error;
    call.log.warn('links cannot be deleted together', { reason: error.message });
  }
}

async function detachOne(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  store: NodeStore,
  record: AttachmentRecord,
  netns: string | undefined,
): Promise<void> {
  deps.step(`deleting ${record.ifname}`);
  write(call, () => store.attachments.put({ ...record, state: 'deleting', writer: store.writer }));
  deps.step(`delete ${record.ifname}`);
  const place = placeOf(record, netns, searchPath(call.config.binDir, call.path));
  await deleteList(listOfRecord(record), place, call.delegates, resultOfRecord(record));
  deps.step(`uncache ${record.ifname}`);
  const { cniDir, manifold } = call.config;
  write(call, () =>
    deleteCachedResult(cniDir ?? manifold.stateDir, { ...record, network: networkNameOf(record) }),
  );
}

/** What only makes a later call better informed must not make this one fail. */
function write(call: Call<MetaConfig>, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isManifoldError(error, 'state', 'try-later', 'io')) throw error;
    call.log.warn('cannot write', { reason: error.message });
  }
}

/** Removes the record, and frees addresses that were claimed for an attachment whose ADD never began. */
export async function forget(
  deps: MetaDeps,
  store: NodeStore,
  record: AttachmentRecord,
  call: Call<MetaConfig>,
): Promise<void> {
  const { containerId, ifname } = record;
  const network = networkNameOf(record);
  try {
    if (record.state === 'planned') await releaseClaims(deps, call, record);
    store.attachments.remove(record);
  } catch (error) {
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
    call.log.warn('store cannot be written: release is carried out later', { reason: error.message });
    const only = record.state === 'planned' ? {} : ({ only: 'attachments' } as const);
    const { runDir, stateDir } = call.config.manifold;
    deferRelease(runDir, { stateDir, containerId, ifname, network, ...only }, error.message);
  }
}

/** One line for each attachment that could not be taken back. */
export function describeFailures(failures: readonly DetachFailure[]): string {
  return failures
    .map(({ record, error }) => `network ${record.network} (${record.ifname}): ${error.message}`)
    .join('; ');
}
