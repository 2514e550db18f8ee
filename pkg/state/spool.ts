// Releases that could not be written into the store when they were due, kept as files until it can be written again.
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { AttachmentId } from '../cni/plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import { removeDeadDrafts } from './dead-drafts.ts';
import type { ClusterLeaseRecord, NodeStore, Writer } from './node-store.ts';
import { errnoOf } from './state-error.ts';
import { thisWriter } from './writer.ts';

export interface ReleaseIntent extends AttachmentId {
  /** Of the store that could not be written: several may share a run directory. Absent in what earlier versions wrote: of any. */
  readonly stateDir?: string;
  /** Narrows leases and interfaces to those of one network configuration. Attachment records have other names. */
  readonly network?: string;
  /** What is released: all three unless one is named. */
  readonly only?: 'leases' | 'interfaces' | 'attachments';
}

interface Spooled extends ReleaseIntent {
  readonly time: number;
  readonly reason: string;
  /** Who deferred it. */
  readonly writer?: Writer;
}

const DRAFT = /^\.\d+-(\d+)-\d+$/;

const spoolOf = (runDirectory: string): string => join(runDirectory, 'released');

/**
 * Writes down that everything of this attachment is to be released: the next store that is opened for writing with
 * the same run directory does it. For DEL, which must succeed while the store cannot be written.
 * @param reason why not now, for people
 * @throws ManifoldError 'try-later' when this cannot be written either
 */
export function deferRelease(
  runDirectory: string,
  intent: ReleaseIntent & { readonly stateDir: string },
  reason: string,
  time = Date.now(),
): void {
  const directory = spoolOf(runDirectory);
  const spooled: Spooled = {
    ...intent,
    stateDir: resolve(intent.stateDir),
    time,
    reason,
    writer: thisWriter(),
  };
  // Sorts by time; the rest keeps two of one moment apart, threads of one process included.
  const name = `${String(time).padStart(16, '0')}-${process.pid}-${process.hrtime.bigint()}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    removeDeadDrafts(directory, DRAFT);
    const draft = join(directory, `.${name}`);
    writeFileSync(draft, JSON.stringify(spooled), { mode: 0o600 });
    renameSync(draft, join(directory, `${name}.json`));
  } catch (error) {
    throw new ManifoldError(
      'try-later',
      `Cannot release ${intent.containerId} ${intent.ifname}: neither the store nor ${directory} can be written (${error instanceof Error ? error.message : String(error)})`,
      {
        hint: `The store: ${reason}. Make room on one of the two file systems; the runtime repeats the DEL.`,
        cause: error,
      },
    );
  }
}

/**
 * Does what was deferred for this store, all in one transaction, and removes the files.
 * @returns how many releases there were
 * @throws ManifoldError 'state', 'try-later' when the store cannot be written: the files stay; 'io' when they cannot be read
 */
export function applyDeferred(store: NodeStore, runDirectory: string): number {
  const directory = spoolOf(runDirectory);
  const files = namesIn(directory)
    .map((name) => ({ name, intent: readIntent(join(directory, name)) }))
    .filter(({ intent }) => intent === undefined || isOfStore(intent, store.directory));
  if (files.length === 0) return 0;
  const intents = files.flatMap(({ intent }) => intent ?? []);
  store.transaction(() => {
    for (const intent of intents) release(store, intent);
  });
  // After the commit: a crash in between leaves files that are applied again, which changes nothing.
  for (const { name } of files) rmSync(join(directory, name), { force: true });
  removeDeadDrafts(directory, DRAFT);
  return intents.length;
}

/** What is still to be released, of every store, oldest first. @throws ManifoldError 'io' when that cannot be read */
export const deferredReleases = (runDirectory: string): ReleaseIntent[] =>
  namesIn(spoolOf(runDirectory)).flatMap((name) => readIntent(join(spoolOf(runDirectory), name)) ?? []);

export const isOfStore = ({ stateDir }: ReleaseIntent, directory: string): boolean =>
  stateDir === undefined || realPath(stateDir) === realPath(directory);

/** Links resolved as far as that can be done: a store is configured under one spelling and looked at under another. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return resolve(path);
  }
}

function release(store: NodeStore, intent: Spooled): void {
  const { only, network, containerId, ifname, time } = intent;
  const ours = (record: AttachmentId & { readonly network: string }) =>
    record.containerId === containerId &&
    record.ifname === ifname &&
    (network === undefined || record.network === network);
  if (only === undefined || only === 'leases')
    // Acquired after the DEL that could not be written: another ADD's.
    for (const lease of store.leases.ofContainer(containerId).filter(ours))
      if (lease.state !== 'resting' && lease.acquired <= time)
        store.leases.put({ ...lease, state: 'resting', released: time });
  if (only === undefined || only === 'leases')
    for (const lease of store.clusterLeases.ofContainer(containerId).filter(ours))
      if (!ENDED.has(lease.state) && !beganAfter(lease.writer, intent.writer))
        store.clusterLeases.update({ ...lease, state: 'releasing', released: time });
  if (only === undefined || only === 'interfaces')
    for (const record of store.interfaces.all().filter(ours)) store.interfaces.remove(record);
  if (only === undefined || only === 'attachments') store.attachments.remove({ containerId, ifname });
}

const ENDED: ReadonlySet<ClusterLeaseRecord['state']> = new Set(['releasing', 'resting']);

/** By the kernel's clock: the times of a cluster lease are the API server's, and may be ahead of this node's. */
const beganAfter = (one: Writer, other: Writer | undefined): boolean =>
  one.bootId === other?.bootId && Number(one.startTime) > Number(other.startTime);

/** Of the releases that were written whole, oldest first. Whatever else lies there is not ours. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw cannotRead(directory, error);
  }
}

function readIntent(path: string): Spooled | undefined {
  try {
    const intent: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isIntent(intent) ? intent : undefined;
  } catch (error) {
    // Gone: another process applied it. Torn by power loss: the sandbox that it spoke of is gone with the boot.
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw cannotRead(path, error);
  }
}

function isIntent(value: unknown): value is Spooled {
  const { containerId, ifname, time } = Object(value) as Partial<Record<keyof Spooled, unknown>>;
  return typeof containerId === 'string' && typeof ifname === 'string' && typeof time === 'number';
}

function cannotRead(path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  return new ManifoldError(
    'io',
    `Cannot read deferred releases: the run directory cannot be used (${path}: ${errno})`,
    {
      hint: 'runDir in the "manifold" object of the network configuration must name a directory of root\'s, or one that can be made.',
      cause: error,
    },
  );
}
