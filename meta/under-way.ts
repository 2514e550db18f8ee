// Whether another process is at the attachments of a call right now. The specification (section 3) forbids a runtime to
// call twice at once for one container; one that gave up waiting for an ADD does it all the same.
import { setTimeout as sleep } from 'node:timers/promises';
import { describePod } from '../pkg/attach/deps.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';

/** How long a DEL waits for a call that is under way: an ADD with plugins that wait for a network may take so long. */
const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 50;

/**
 * An ADD, or a DEL, whose process still lives. What a failed DEL of a process that has ended, or of this one, leaves
 * as "deleting", the next call takes over.
 */
export const isUnderWay = (store: NodeStore, records: readonly AttachmentRecord[]): boolean =>
  records.some((record) =>
    record.state === 'planned' || record.state === 'adding'
      ? store.isAlive(record.writer)
      : record.state === 'deleting' && isAnothers(store, record),
  );

/**
 * Waits until no other process is at the records any more, and reads them anew: so DEL finds all that an ADD made.
 * An added one counts too, since its ADD may still write to it.
 * @throws ManifoldError 'try-later' when that takes longer than `patienceMs`
 */
export async function readSettled(
  store: NodeStore,
  read: () => AttachmentRecord[],
  patienceMs = PATIENCE_MS,
): Promise<AttachmentRecord[]> {
  let records = read();
  for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
    const busy = records.find((record) => isAnothers(store, record));
    if (busy === undefined) return records;
    if (waitedMs >= patienceMs)
      throw underWay(`detach ${describePod(busy.pod, busy.containerId)}`, busy, {
        hint: 'What it does is taken back by a DEL after its end: the runtime repeats it.',
      });
    await sleep(LOOK_EVERY_MS);
    records = read();
  }
}

function isAnothers(store: NodeStore, { writer }: AttachmentRecord): boolean {
  const { pid, startTime } = store.writer;
  return !(writer.pid === pid && writer.startTime === startTime) && store.isAlive(writer);
}

/** @param verb what cannot be done, with its object */
export function underWay(
  verb: string,
  { writer, state }: AttachmentRecord,
  options: { readonly hint: string },
): ManifoldError {
  const doing = state === 'deleting' ? 'detaching' : 'attaching';
  return new ManifoldError(
    'try-later',
    `Cannot ${verb}: process ${writer.pid} is ${doing} it right now`,
    options,
  );
}
