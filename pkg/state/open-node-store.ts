// The node's store over SQLite: one file for all plugins of this node.
import { join } from 'node:path';
import { isManifoldError } from '../errors/manifold-error.ts';
import { type Logger, silentLogger } from '../log/logger.ts';
import { attachmentsTable } from './attachments-table.ts';
import { clusterLeasesTable } from './cluster-leases-table.ts';
import { copiesTable } from './copies-table.ts';
import { isThere } from './file-kind.ts';
import { interfacesTable } from './interfaces-table.ts';
import { leasesTable } from './leases-table.ts';
import type { NodeStore, RawRow, Writer } from './node-store.ts';
import { applyDeferred, deferredReleases } from './spool.ts';
import { stateError } from './state-error.ts';
import { openStateFile, type StateFile } from './state-file.ts';
import { bootId, isAlive, thisWriter } from './writer.ts';

export interface NodeStoreOptions {
  /** Where releases wait that could not be written: they are carried out at opening. None when absent. */
  readonly runDirectory?: string;
  readonly log?: Logger;
  /** How long to wait for the transactions of others before giving up with 'try-later'. @default 10000 */
  readonly busyTimeoutMs?: number;
  /** Who writes. @default this process */
  readonly writer?: Writer;
}

/**
 * Opens the store of a directory, e.g. /var/lib/cni/manifold; makes it (mode 0700) when it is missing. Where it cannot
 * be written, it can still be read, and each write throws.
 * @throws ManifoldError 'state' when it cannot be read: damaged, forbidden, of a later version
 */
export function openNodeStore(directory: string, options: NodeStoreOptions = {}): NodeStore {
  const { runDirectory, log = silentLogger, busyTimeoutMs } = options;
  const file = openStateFile(directory, busyTimeoutMs);
  const store = nodeStore(directory, file, options);
  if (file.readOnlyBecause !== undefined)
    log.warn('store is read-only', { reason: String(file.readOnlyBecause) });
  else if (runDirectory !== undefined) carryOutDeferred(store, runDirectory, log);
  return store;
}

/** Whether there is a store to open; makes nothing. @throws ManifoldError 'state' when something else is in its place */
export function storeIsThere(directory: string): boolean {
  const path = join(directory, 'state.db');
  try {
    return isThere(path);
  } catch (error) {
    throw stateError('open', path, error);
  }
}

const TABLES = ['attachments', 'interfaces', 'leases', 'cluster_leases', 'copies'] as const;

function carryOutDeferred(store: NodeStore, runDirectory: string, log: Logger): void {
  try {
    const count = applyDeferred(store, runDirectory);
    if (count > 0) log.info('deferred releases carried out', { count });
  } catch (error) {
    // Still not writable: the files wait for the next store. A caller that writes will see why by itself. A run
    // directory that cannot be read must not keep a DEL from its work: ensureWritable() tells of it.
    if (!isManifoldError(error, 'state', 'try-later', 'io')) throw error;
    log.warn('deferred releases cannot be carried out yet', { reason: error.message });
  }
}

function nodeStore(directory: string, file: StateFile, options: NodeStoreOptions): NodeStore {
  const { runDirectory } = options;
  let { writer } = options;
  let boot: string | undefined;
  const isRunning = (of: Writer): boolean => {
    boot ??= bootId();
    return isAlive(of, boot);
  };
  return {
    directory,
    get writer() {
      writer ??= thisWriter();
      return writer;
    },
    transaction: (work) => file.transaction(work),
    attachments: attachmentsTable(file),
    interfaces: interfacesTable(file, isRunning),
    leases: leasesTable(file),
    clusterLeases: clusterLeasesTable(file),
    copies: copiesTable(file),
    ensureWritable() {
      file.run('UPDATE probe SET writes = writes + 1');
      if (runDirectory !== undefined) deferredReleases(runDirectory);
    },
    raw: () => ({
      integrity: file
        .all('PRAGMA integrity_check')
        .map((row) => String(row.integrity_check))
        .filter((line) => line !== 'ok'),
      rows: TABLES.flatMap((table) =>
        file.all(`SELECT * FROM ${table}`).map(({ record, ...columns }) => ({
          table,
          columns: columns as RawRow['columns'],
          record: String(record),
        })),
      ),
    }),
    removeRaw: ({ table, columns, record }) =>
      file.transaction(() => {
        const names = [...Object.keys(columns), 'record'];
        const values = [...Object.values(columns), record];
        const where = names.map((name) => `${name} IS ?`).join(' AND ');
        const found = file.all(`SELECT 1 FROM ${table} WHERE ${where}`, ...values).length > 0;
        if (found) file.run(`DELETE FROM ${table} WHERE ${where}`, ...values);
        return found;
      }),
    isAlive: isRunning,
    close: () => file.close(),
  };
}
