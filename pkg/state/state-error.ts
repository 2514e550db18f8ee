// What SQLite and the file system say about the store, as a ManifoldError that names the file and what to do.
import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorCode, ManifoldError } from '../errors/manifold-error.ts';

export type Doing = 'open' | 'read' | 'write';

/** Errors of node:sqlite carry SQLite's extended result code as `errcode`. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode : undefined;
}

/** Errors of node:fs carry the name of errno as `code`. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** @returns a ManifoldError for what SQLite or the file system reported; anything else as it came */
export function stateError(doing: Doing, file: string, error: unknown): unknown {
  if (error instanceof ManifoldError) return error;
  const sqlite = sqliteCode(error);
  const errno = errnoOf(error);
  const why = sqlite === undefined ? errnoReason(errno, file) : sqliteReason(sqlite, file, error);
  if (why === undefined) return error;
  const [code, reason, hint] = why;
  const message = error instanceof Error ? error.message : String(error);
  return new ManifoldError(code, `Cannot ${doing} the node's store: ${reason} (${file}: ${message})`, {
    hint,
    cause: error,
  });
}

type Why = readonly [ErrorCode, reason: string, hint: string];

const FULL: Why = [
  'state',
  'no space is left on its file system',
  'Free space there; the call may be repeated.',
];
const READ_ONLY: Why = [
  'state',
  'its file system is read-only',
  'Mount it writable, or name another stateDir in the "manifold" object of the network configuration.',
];
const FORBIDDEN: Why = [
  'state',
  'this process may not',
  'Run as root; the directory belongs to root, mode 0700.',
];

function sqliteReason(extended: number, file: string, error: unknown): Why | undefined {
  // The low byte is the primary code: https://sqlite.org/rescode.html
  switch (extended & 0xff) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return ['try-later', 'other processes kept it locked for too long', 'Repeat the call.'];
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
      return accessReason(file) ?? ['state', 'it cannot be opened for that', hintFor(file)];
    case 13: // SQLITE_FULL
      return FULL;
    case 10: // SQLITE_IOERR: also what a full file system gives for the shared-memory file
      return isFull(file) ? FULL : ['state', 'the file system reports an error', hintFor(file)];
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return damaged(file);
    default:
      return error instanceof Error ? ['state', 'SQLite refused', hintFor(file)] : undefined;
  }
}

function errnoReason(errno: string | undefined, file: string): Why | undefined {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return FULL;
    case 'EROFS':
      return READ_ONLY;
    case 'EACCES':
    case 'EPERM':
      return FORBIDDEN;
    case 'ENOTDIR':
    case 'EEXIST':
      return ['state', 'its directory is a file', `Move ${dirname(file)} away, or name another stateDir.`];
    case 'ENAMETOOLONG':
      return [
        'state',
        'its path is too long',
        'Name a shorter stateDir: a name in it may have 255 bytes, the whole 4095.',
      ];
    case 'ELOOP':
      return ['state', 'symbolic links lead in a circle', `Mend them: namei -l ${file}`];
    case 'EISDIR':
      return ['state', 'it is a directory, not a file', `Move it away: ls -la ${dirname(file)}`];
    default:
      // Node's own errors, which are defects of ours, have codes that begin with ERR_.
      return errno === undefined || !/^E[A-Z0-9]+$/.test(errno)
        ? undefined
        : ['state', 'the file system reports an error', hintFor(file)];
  }
}

/** The words for a store whose contents are not what we wrote. Nothing is ever begun anew over it. */
export function damaged(file: string): Why {
  const directory = dirname(file);
  return [
    'state',
    'the file is damaged',
    `It says which pods hold which devices and addresses, so nothing is begun anew by itself. Drain the node, then move the whole directory away: mv ${directory} ${directory}.damaged`,
  ];
}

const hintFor = (file: string): string =>
  `Look at ${dirname(file)}: owner, mode, mount and free space (ls -la, findmnt -T, df).`;

function accessReason(file: string): Why | undefined {
  try {
    accessSync(dirname(file), constants.W_OK);
    accessSync(file, constants.W_OK);
  } catch (error) {
    return errnoReason(errnoOf(error), file);
  }
  return isFull(file) ? FULL : undefined;
}

function isFull(file: string): boolean {
  try {
    // SQLite writes at least a page; a shared-memory file is 32 KiB.
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize < 65_536;
  } catch {
    // The directory itself cannot be asked: then "full" is not what is wrong.
    return false;
  }
}
