// Walks all invariants of the store. What may never be is apart from what a crash may leave and reclaim removes.
import { readdirSync } from 'node:fs';
import { isManifoldError } from '../errors/manifold-error.ts';
import type { ClusterLeaseRecord, InterfaceRecord, NodeStore } from './node-store.ts';
import { deferredReleases, isOfStore, type ReleaseIntent } from './spool.ts';
import { nameOf, type StoreContents, storeContents } from './store-contents.ts';
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
  const contents = storeContents(rows);
  const broken = [
    ...integrity.map((line) => `The file is damaged: ${line}.`),
    ...contents.broken.flatMap(({ problems }) => problems),
    ...brokenDevices(contents.interfaces),
    ...doubleAddresses(contents.clusterLeases),
  ];
  const deferred = readDeferred(runDirectory, broken).filter((intent) => isOfStore(intent, store.directory));
  return {
    broken,
    leftovers: [
      ...unfinished(store, contents),
      ...strayLeases(store, contents),
      ...waiting(contents.clusterLeases),
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

/** Names are unique, so two copies of one address have two names. */
function* doubleAddresses(leases: readonly ClusterLeaseRecord[]): Generator<string> {
  const holders = new Map<string, ClusterLeaseRecord>();
  for (const lease of leases) {
    const key = JSON.stringify([lease.domain, lease.address]);
    const other = holders.get(key);
    if (other !== undefined)
      yield `Cluster lease ${lease.address} is there twice: as ${other.name} of ${nameOf(other)} and as ${lease.name} of ${nameOf(lease)}.`;
    holders.set(key, lease);
  }
}

function* unfinished(store: NodeStore, contents: StoreContents): Generator<string> {
  const boot = bootId();
  const all = [
    ...contents.attachments.map((record) => ({ what: 'Attachment', record, done: record.state === 'added' })),
    ...contents.interfaces.map((record) => ({ what: 'Interface', record, done: record.state === 'added' })),
    ...contents.leases
      .filter((lease) => lease.state !== 'resting')
      .map((record) => ({ what: `Lease ${record.address}`, record, done: record.state === 'held' })),
    ...contents.clusterLeases
      .filter((lease) => lease.state !== 'resting' && lease.state !== 'releasing')
      .map((record) => ({ what: `Cluster lease ${record.address}`, record, done: record.state === 'held' })),
  ];
  for (const { what, record, done } of all) {
    if (record.writer.bootId !== boot) yield `${what} of ${nameOf(record)} is of an earlier boot.`;
    else if (!done && !store.isAlive(record.writer))
      yield `${what} of ${nameOf(record)} is ${record.state}, but its process ${record.writer.pid} is gone.`;
  }
}

/** Held leases of sandboxes without an interface, on networks whose other interfaces are recorded here. */
function* strayLeases(
  store: NodeStore,
  { interfaces, leases, clusterLeases }: StoreContents,
): Generator<string> {
  const networks = new Set(interfaces.map((record) => record.network));
  const known = new Set(
    interfaces.map(({ network, containerId, ifname }) => `${network} ${containerId} ${ifname}`),
  );
  const all = [
    ...leases.map((lease) => ({ what: 'Lease', lease })),
    ...clusterLeases.map((lease) => ({ what: 'Cluster lease', lease })),
  ];
  for (const { what, lease } of all) {
    const { network, containerId, ifname } = lease;
    if (lease.state !== 'held' || !networks.has(network) || store.isAlive(lease.writer)) continue;
    if (!known.has(`${network} ${containerId} ${ifname}`))
      yield `${what} ${lease.address} of ${nameOf(lease)} is held, but no such interface is recorded.`;
  }
}

const waiting = (leases: readonly ClusterLeaseRecord[]): string[] =>
  leases
    .filter((lease) => lease.state === 'releasing')
    .map(
      (lease) =>
        `Cluster lease ${lease.address} of ${nameOf(lease)} is released here and waits for the API server.`,
    );

const drafts = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => /^state\.db\.new-\d+-\d+$/.test(name))
    .map((name) => `${directory}/${name} was left by a process that died while it made the store.`);
