// The tables of state.db and their version. Each record is kept whole as JSON; the columns beside it are what is searched for.
import type { DatabaseSync } from 'node:sqlite';
import { ManifoldError } from '../errors/manifold-error.ts';
import { damaged } from './state-error.ts';

/** SQL that leads from version i to version i + 1 (PRAGMA user_version). Only ever appended to. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE attachments (
     container_id TEXT NOT NULL, ifname TEXT NOT NULL, position INTEGER NOT NULL, pod_uid TEXT,
     record TEXT NOT NULL,
     PRIMARY KEY (container_id, ifname)) STRICT, WITHOUT ROWID;
   CREATE INDEX attachments_pod ON attachments (pod_uid) WHERE pod_uid IS NOT NULL;
   CREATE TABLE interfaces (
     container_id TEXT NOT NULL, ifname TEXT NOT NULL, network TEXT NOT NULL, pod_uid TEXT, device TEXT,
     record TEXT NOT NULL,
     PRIMARY KEY (container_id, ifname, network)) STRICT, WITHOUT ROWID;
   CREATE INDEX interfaces_pod ON interfaces (pod_uid) WHERE pod_uid IS NOT NULL;
   CREATE UNIQUE INDEX interfaces_device ON interfaces (device) WHERE device IS NOT NULL;
   CREATE TABLE leases (
     domain TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, ifname TEXT NOT NULL,
     container_id TEXT NOT NULL, released INTEGER, record TEXT NOT NULL,
     PRIMARY KEY (domain, key)) STRICT, WITHOUT ROWID;
   CREATE INDEX leases_owner ON leases (owner, ifname);
   CREATE INDEX leases_container ON leases (container_id);
   CREATE INDEX leases_resting ON leases (domain, released) WHERE released IS NOT NULL;
   CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 0), writes INTEGER NOT NULL) STRICT;
   INSERT INTO probe VALUES (0, 0);`,
  `CREATE TABLE cluster_leases (
     name TEXT PRIMARY KEY, owner TEXT NOT NULL, ifname TEXT NOT NULL, container_id TEXT NOT NULL,
     state TEXT NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE INDEX cluster_leases_owner ON cluster_leases (owner, ifname);
   CREATE INDEX cluster_leases_container ON cluster_leases (container_id);
   CREATE INDEX cluster_leases_state ON cluster_leases (state);
   CREATE TABLE copies (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
];

const SCHEMA_VERSION = MIGRATIONS.length;

/** SQL that leads from a version to SCHEMA_VERSION; to be run in one transaction. */
export function migrationFrom(version: number): string {
  return `${MIGRATIONS.slice(version).join('\n')}\nPRAGMA user_version = ${SCHEMA_VERSION};`;
}

/** Brings the tables of an open store up to SCHEMA_VERSION. @throws ManifoldError 'state' as assertKnownVersion */
export function upgrade(db: DatabaseSync, path: string): void {
  const version = versionOf(db);
  if (version === SCHEMA_VERSION) return;
  assertKnownVersion(version, path);
  db.exec('BEGIN IMMEDIATE');
  try {
    // Read again under the lock: another process may have done it meanwhile.
    if (versionOf(db) < SCHEMA_VERSION) db.exec(migrationFrom(versionOf(db)));
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

const versionOf = (db: DatabaseSync): number => Number(db.prepare('PRAGMA user_version').get()?.user_version);

function assertKnownVersion(version: number, path: string): void {
  if (version > SCHEMA_VERSION)
    throw new ManifoldError(
      'state',
      `Cannot open the node's store: a later version of Manifold wrote it (${path}: schema ${version}, known up to ${SCHEMA_VERSION})`,
      { hint: 'Install that version or a later one again on this node; the store is untouched.' },
    );
  if (version < 1) {
    const [code, reason, hint] = damaged(path);
    throw new ManifoldError(code, `Cannot open the node's store: ${reason} (${path}: no schema in it)`, {
      hint,
    });
  }
}
