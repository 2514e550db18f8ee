// Reading a store that cannot be written: SQLite wants to make files beside the database even to read it.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { migrationFrom } from './schema.ts';
import { errnoOf } from './state-error.ts';
import { foldLog } from './write-ahead-log.ts';

/** A store with nothing in it, in memory. */
export function emptyDatabase(): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec(migrationFrom(0));
  return db;
}

/**
 * The contents of the file and its log, in memory, as of now. Nothing is written anywhere.
 * @returns undefined when others change the file faster than it can be read
 */
export function readCopy(path: string): DatabaseSync | undefined {
  // The log lies beside the file itself, not beside a link to it.
  const file = realpathSync(path);
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = fingerprint(file);
    const bytes = new Uint8Array(readFileSync(file));
    const log = readIfThere(`${file}-wal`);
    // Where another mount of the same file system is writable, the two may have changed in between.
    if (fingerprint(file) === before) return inMemory(foldLog(bytes, log));
  }
  return undefined;
}

function readIfThere(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return new Uint8Array();
    throw error;
  }
}

function fingerprint(path: string): string {
  const of = (file: string) => {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? '-' : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
  };
  return `${of(path)} ${of(`${path}-wal`)}`;
}

function inMemory(bytes: Uint8Array): DatabaseSync {
  // Bytes 18 and 19 say how the file is journalled; 2, write-ahead log, cannot be had in memory.
  if (bytes[18] === 2) bytes.set([1, 1], 18);
  const db = new DatabaseSync(':memory:');
  db.deserialize(bytes);
  return db;
}
