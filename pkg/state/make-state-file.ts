// How state.db comes to be: whole or not at all, whatever the disk says and whenever the process dies.
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ManifoldError } from '../errors/manifold-error.ts';
import { removeDeadDrafts } from './dead-drafts.ts';
import { migrationFrom } from './schema.ts';
import { errnoOf } from './state-error.ts';

/**
 * Makes the directory and the file where they are missing. Another process may do the same at the same time.
 * @throws ManifoldError 'state'; errors of node:fs as they come
 */
export function makeStateFile(directory: string, path: string): void {
  makeDirectory(directory, 0o700);
  // A log without its file would be taken for the log of the new one: SQLite ties the two by name only.
  if (existsSync(`${path}-wal`) && !existsSync(path))
    throw new ManifoldError(
      'state',
      `Cannot open the node's store: its log is there but the file is not (${path}-wal)`,
      {
        hint: `Put ${path} back beside it, or move the whole directory away: mv ${directory} ${directory}.damaged`,
      },
    );
  removeDeadDrafts(directory, /^state\.db\.new-(\d+)-\d+$/);
  const draft = `${path}.new-${process.pid}-${process.hrtime.bigint()}`;
  try {
    writeFlushed(draft, emptyFile());
    linkSync(draft, path);
    flushDirectory(directory);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST' || !existsSync(path)) throw error;
  } finally {
    removeFile(draft);
  }
}

/** The bytes of a store with nothing in it. */
function emptyFile(): Uint8Array {
  // Not written by SQLite itself: the last step of that, the checkpoint at closing, says nothing when the disk is full.
  const db = new DatabaseSync(':memory:');
  try {
    db.exec(`BEGIN; ${migrationFrom(0)} COMMIT`);
    const bytes = db.serialize();
    // Write-ahead log, for writers and readers: https://sqlite.org/fileformat2.html section 1.3.3.
    bytes.set([2, 2], 18);
    return bytes;
  } finally {
    db.close();
  }
}

function writeFlushed(path: string, bytes: Uint8Array): void {
  // `flush`: on some file systems it is the flush that first reports that there is no room.
  writeFileSync(path, bytes, { flag: 'wx', mode: 0o600, flush: true });
}

/** Makes the new name outlive a power loss, or the log would one day be there without the file. */
function flushDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    // A file system that cannot flush directories: nothing better can be had there.
    if (errnoOf(error) !== 'EINVAL') throw error;
  } finally {
    closeSync(fd);
  }
}

/** One by one: mkdir's own `recursive` reports a read-only file system as ENOENT (Node 26.10). */
function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path), 0o755);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process was quicker; or it is a link to nothing, which the next step finds.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EROFS') throw error;
  }
}
