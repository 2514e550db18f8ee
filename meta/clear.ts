// What an earlier ADD left behind: of the same sandbox, or of an older sandbox of the same pod. Cleared before an ADD.
import { describePod, podOf } from '../pkg/attach/deps.ts';
import type { AddCall } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { describeFailures, detachAll } from './detach.ts';
import { attachmentsOfCall, callOf, netnsIdOf } from './journal.ts';
import { isUnderWay, underWay } from './under-way.ts';

/**
 * @throws ManifoldError 'exists' when this sandbox is attached already; 'try-later' while another process is at it,
 *   or when what was left could not be cleared
 */
export async function clearUnfinished(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
): Promise<void> {
  const own = attachmentsOfCall(store, call);
  refuseUnderWay(call, store, own);
  if (own.length > 0 && isFinished(own) && namespaceOf(deps, store, own) !== undefined) {
    const pod = describePod(podOf(call.args), call.containerId);
    throw new ManifoldError(
      'exists',
      `Cannot attach ${pod}: ${call.ifname} of this sandbox is attached already`,
      {
        hint: `ADD was done for container ${call.containerId}; the runtime must call DEL before it calls ADD again.`,
      },
    );
  }
  const { uid } = podOf(call.args);
  const older =
    uid === undefined ? [] : store.attachments.ofPod(uid).filter((r) => r.containerId !== call.containerId);
  for (const records of [own, ...byCall(older)]) {
    if (records.length === 0 || isUnderWay(store, records)) continue;
    const netns = namespaceOf(deps, store, records);
    // A finished sandbox that still has its namespace may still run: the runtime will end it with a DEL.
    if (records !== own && isFinished(records) && netns !== undefined) continue;
    await clear(deps, call, store, records, netns);
  }
}

async function clear(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
  records: readonly AttachmentRecord[],
  netns: string | undefined,
): Promise<void> {
  deps.step('clear unfinished');
  const failures = await detachAll(deps, call, store, records, netns);
  const container = records[0]?.containerId ?? '';
  if (failures.length > 0) {
    throw new ManifoldError(
      'try-later',
      `Cannot clear what an earlier ADD of container ${container} left: ${describeFailures(failures)}`,
      { hint: 'Mend the cause; the runtime retries.' },
    );
  }
  call.log.info('cleared what an earlier ADD left', { container, attachments: records.length });
}

/**
 * Called in the transaction that writes the records. A runtime may attach one container twice under two CNI_IFNAMEs,
 * and the networks asked for are then made twice too.
 * @throws ManifoldError 'exists' when an interface of the plan belongs to another call: its record is not to be lost;
 *   'try-later' when another process wrote records of this call since it was looked for them
 */
export function refuseTakenNames(store: NodeStore, records: readonly AttachmentRecord[]): void {
  for (const record of records) {
    const holder = store.attachments.get(record);
    if (holder === undefined) continue;
    const pod = describePod(record.pod, record.containerId);
    if (callOf(holder).ifname === callOf(record).ifname) throw alreadyAt(pod, holder);
    throw new ManifoldError(
      'exists',
      `Cannot attach ${pod} to network ${record.network}: the interface name ${record.ifname} is taken by network ${holder.network}`,
      {
        hint: `That network was attached by the ADD of ${callOf(holder).ifname}. Ask for another interface name.`,
      },
    );
  }
}

const isFinished = (records: readonly AttachmentRecord[]): boolean =>
  records.every((record) => record.state === 'added');

function refuseUnderWay(
  call: AddCall<MetaConfig>,
  store: NodeStore,
  records: readonly AttachmentRecord[],
): void {
  const [first] = records;
  if (first === undefined || !isUnderWay(store, records)) return;
  // The records of a DEL under way are not all "deleting" yet.
  const busy = records.find((record) => record.state === 'deleting') ?? first;
  throw alreadyAt(describePod(podOf(call.args), call.containerId), busy);
}

const alreadyAt = (pod: string, record: AttachmentRecord): ManifoldError =>
  underWay(`attach ${pod}`, record, {
    hint: 'Retry: the runtime called twice at once for one sandbox, or a delegate calls manifold again.',
  });

/** The namespace of the records, where it is still the same one: a path may lead to another after a reboot. */
export function namespaceOf(
  { kernel }: MetaDeps,
  store: NodeStore,
  records: readonly AttachmentRecord[],
): string | undefined {
  const [record] = records;
  if (record === undefined || record.writer.bootId !== store.writer.bootId) return undefined;
  const opened = kernel.openIfThere(record.netns);
  opened?.close();
  return opened !== undefined && opened.id === netnsIdOf(record) ? record.netns : undefined;
}

/** Groups records by the call of the runtime that made them. */
export function byCall(records: readonly AttachmentRecord[]): AttachmentRecord[][] {
  const groups = new Map<string, AttachmentRecord[]>();
  for (const record of records) {
    const { containerId, ifname } = callOf(record);
    const key = `${containerId}/${ifname}`;
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => a.position - b.position));
}
