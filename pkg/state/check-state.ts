// Walks all invariants of the store. What may never be is apart from what a crash may leave and reclaim removes.
import { readdirSync } from 'node:fs';
import { isManifoldError } from '../errors/manifold-error.ts';
import { formatAddress, readAddress } from '../ip/address.ts';
import { addressKey } from './address-key.ts';
import type { AttachmentRecord, InterfaceRecord, LeaseRecord, NodeStore, RawRow } from './node-store.ts';
import { misshapen } from './record-shape.ts';
import { deferredReleases, type ReleaseIntent } from './spool.ts';
import { bootId } from './writer.ts';

/** One sentence each. */
export interface StateFindings {
  /** May never be. */
  readonly broken: string[];
  /** Left by a process that died, by an earlier boot, or by a full disk: DEL, GC or the next ADD takes it away. */
  readonly leftovers: string[];
}

/**
 * Reads the whole store and says what is wrong with it.
 * @param runDirectory where deferred releases wait
 * @throws ManifoldError 'state' when it cannot be read at all
 */
export function checkState(store: NodeStore, runDirectory?: string): StateFindings {
  const { integrity, rows } = store.raw();
  const broken = integrity.map((line) => `The file is damaged: ${line}.`);
  const sound = rows.flatMap((row) => soundRecord(row, broken));
  const of = <T>(table: RawRow['table']) => sound.filter((s) => s.table === table).map((s) => s.record as T);
  const records: Records = {
    attachments: of('attachments'),
    interfaces: of('interfaces'),
    leases: of('leases'),
  };
  broken.push(...brokenDevices(records.interfaces), ...brokenLeases(records.leases));
  const deferred = readDeferred(runDirectory, broken);
  return {
    broken,
    leftovers: [
      ...unfinished(store, records),
      ...strayLeases(store, records),
      ...drafts(store.directory),
      ...deferred.map(
        ({ containerId, ifname }) =>
          `The release of container ${containerId}, ${ifname} was deferred and waits.`,
      ),
    ],
  };
}

function readDeferred(runDirectory: string | undefined, broken: string[]): ReleaseIntent[] {
  try {
    return runDirectory === undefined ? [] : deferredReleases(runDirectory);
  } catch (error) {
    if (!isManifoldError(error, 'io')) throw error;
    broken.push(`${error.message}.`);
    return [];
  }
}

interface Records {
  readonly attachments: readonly AttachmentRecord[];
  readonly interfaces: readonly InterfaceRecord[];
  readonly leases: readonly LeaseRecord[];
}

type Sound = { readonly table: RawRow['table']; readonly record: Record<string, unknown> };

/** The record of a row whose JSON, shape and columns are right; else a sentence in `broken`. */
function soundRecord({ table, columns, record: text }: RawRow, broken: string[]): Sound[] {
  const key = `The record of ${table} ${JSON.stringify(columns)}`;
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    // Whatever the parser says of it: the sentence names the row.
    broken.push(`${key} is not JSON.`);
    return [];
  }
  const wrong = misshapen(table, record);
  if (wrong !== undefined) {
    broken.push(`${key} has a wrong shape: ${wrong}.`);
    return [];
  }
  const sound = record as Record<string, unknown>;
  for (const [column, expected] of Object.entries(columnsOf(table, sound)))
    if (columns[column] !== expected)
      broken.push(`${key} disagrees with its column ${column}: ${JSON.stringify(expected)}.`);
  return [{ table, record: sound }];
}

/** What the columns must hold for a record. */
function columnsOf(table: RawRow['table'], record: Record<string, unknown>): Record<string, unknown> {
  const { containerId, ifname, network, position, owner, domain } = record;
  const podUid = (record.pod as { uid?: string }).uid ?? null;
  const container_id = containerId;
  if (table === 'attachments') return { container_id, ifname, position, pod_uid: podUid };
  if (table === 'interfaces')
    return { container_id, ifname, network, pod_uid: podUid, device: record.device ?? null };
  const address = readAddress(String(record.address));
  return {
    domain,
    owner,
    ifname,
    container_id,
    released: record.state === 'resting' ? (record.released ?? 0) : null,
    key: address === undefined ? null : addressKey(address),
  };
}

function* brokenDevices(interfaces: readonly InterfaceRecord[]): Generator<string> {
  const holders = new Map<string, InterfaceRecord>();
  for (const record of interfaces) {
    if (record.device === undefined) continue;
    const other = holders.get(record.device);
    if (other !== undefined)
      yield `Device ${record.device} is held twice: by ${nameOf(other)} and by ${nameOf(record)}.`;
    holders.set(record.device, record);
  }
}

function* brokenLeases(leases: readonly LeaseRecord[]): Generator<string> {
  for (const lease of leases) {
    const address = readAddress(lease.address);
    if (address === undefined || formatAddress(address) !== lease.address)
      yield `Lease ${lease.address} of ${nameOf(lease)} is not under the canonical text of an address.`;
    if ((lease.state === 'resting') !== (lease.released !== undefined))
      yield `Lease ${lease.address} of ${nameOf(lease)} is ${lease.state} and ${lease.released === undefined ? 'has no' : 'has a'} time of release.`;
  }
}

function* unfinished(store: NodeStore, { attachments, interfaces, leases }: Records): Generator<string> {
  const boot = bootId();
  const all = [
    ...attachments.map((record) => ({ what: 'Attachment', record, done: record.state === 'added' })),
    ...interfaces.map((record) => ({ what: 'Interface', record, done: record.state === 'added' })),
    ...leases
      .filter((lease) => lease.state !== 'resting')
      .map((record) => ({ what: `Lease ${record.address}`, record, done: record.state === 'held' })),
  ];
  for (const { what, record, done } of all) {
    if (record.writer.bootId !== boot) yield `${what} of ${nameOf(record)} is of an earlier boot.`;
    else if (!done && !store.isAlive(record.writer))
      yield `${what} of ${nameOf(record)} is ${record.state}, but its process ${record.writer.pid} is gone.`;
  }
}

/** Held leases of sandboxes without an interface, on networks whose other interfaces are recorded here. */
function* strayLeases(store: NodeStore, { interfaces, leases }: Records): Generator<string> {
  const networks = new Set(interfaces.map((record) => record.network));
  const known = new Set(
    interfaces.map(({ network, containerId, ifname }) => `${network} ${containerId} ${ifname}`),
  );
  for (const lease of leases) {
    const { network, containerId, ifname } = lease;
    if (lease.state !== 'held' || !networks.has(network) || store.isAlive(lease.writer)) continue;
    if (!known.has(`${network} ${containerId} ${ifname}`))
      yield `Lease ${lease.address} of ${nameOf(lease)} is held, but no such interface is recorded.`;
  }
}

const drafts = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => /^state\.db\.new-\d+-\d+$/.test(name))
    .map((name) => `${directory}/${name} was left by a process that died while it made the store.`);

function nameOf({ containerId, ifname, pod }: InterfaceRecord | LeaseRecord | AttachmentRecord): string {
  const name = pod.name === undefined ? '' : `pod ${pod.namespace ?? 'default'}/${pod.name}, `;
  return `${name}container ${containerId}, ${ifname}`;
}
