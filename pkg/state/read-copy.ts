// Reading a store that cannot be written: SQLite wants to make files beside the database even to read it.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrationFrom } from './schema.ts';
import { errnoOf } from './state-error.ts';

/** A store with nothing in it, in memory. */
export function emptyDatabase(): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec(migrationFrom(0));
  return db;
}

/**
 * The contents of the file and its log, in memory, as of now. The copies on the way there are removed again.
 * @returns undefined when there is no place for a copy, or others change the file faster than it can be copied
 */
export function readCopy(path: string): DatabaseSync | undefined {
  for (const place of [tmpdir(), '/dev/shm', '/run']) {
    const directory = scratchIn(place);
    if (directory === undefined) continue;
    try {
      const bytes = copyThrough(directory, path);
      if (bytes !== undefined) return inMemory(bytes);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return undefined;
}

function scratchIn(place: string): string | undefined {
  try {
    return mkdtempSync(join(place, 'manifold-read-'));
  } catch {
    // Missing, read-only, full or forbidden: whatever it is, the next place may serve.
    return undefined;
  }
}

function copyThrough(directory: string, path: string): Uint8Array | undefined {
  const copy = join(directory, 'state.db');
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = fingerprint(path);
    try {
      copyFileSync(path, copy);
      rmSync(`${copy}-wal`, { force: true });
      if (statSync(`${path}-wal`, { throwIfNoEntry: false })) copyFileSync(`${path}-wal`, `${copy}-wal`);
    } catch (error) {
      if (errnoOf(error) === 'ENOSPC') return undefined;
      throw error;
    }
    // Where another mount of the same file system is writable, the two files may have changed between the copies.
    if (fingerprint(path) === before) return merged(copy);
  }
  return undefined;
}

function fingerprint(path: string): string {
  const of = (file: string) => {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? '-' : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
  };
  return `${of(path)} ${of(`${path}-wal`)}`;
}

/** The database with its log folded in. */
function merged(copy: string): Uint8Array {
  const db = new DatabaseSync(copy);
  try {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
  return new Uint8Array(readFileSync(copy));
}

function inMemory(bytes: Uint8Array): DatabaseSync {
  // Bytes 18 and 19 say how the file is journalled; 2, write-ahead log, cannot be had in memory.
  if (bytes[18] === 2) bytes.set([1, 1], 18);
  const db = new DatabaseSync(':memory:');
  db.deserialize(bytes);
  return db;
}
