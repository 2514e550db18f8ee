// What the meta plugin reads from the file system, as an interface: the planner's facts come through here.
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';

export interface Files {
  /** @throws ManifoldError 'io' for all but a missing file, for what is no regular file too */
  readText(path: string): string | undefined;
  /** Names in a directory, sorted. @throws ManifoldError 'io' for all but a missing directory */
  list(directory: string): string[] | undefined;
  kind(path: string): 'file' | 'directory' | undefined;
  /** With symbolic links resolved; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /** "<device>:<inode>": two names of one file have the same. */
  identity(path: string): string | undefined;
}

export const nodeFiles: Files = {
  readText: (path) =>
    ifThere(path, 'read', () => {
      // Reading a FIFO or a device may never end.
      if (!statSync(path).isFile()) throw new ManifoldError('io', `Cannot read ${path}: it is no file`);
      return readFileSync(path, 'utf8');
    }),
  list: (directory) => ifThere(directory, 'list', () => readdirSync(directory).sort(), ['ENOENT']),
  kind: (path) => {
    const stat = ifThere(path, 'look at', () => statSync(path));
    return stat?.isDirectory() ? 'directory' : stat?.isFile() ? 'file' : undefined;
  },
  realPath: (path) => ifThere(path, 'resolve', () => realpathSync(path)),
  identity: (path) => {
    const stat = ifThere(path, 'look at', () => statSync(path));
    return stat && `${stat.dev}:${stat.ino}`;
  },
};

function ifThere<T>(
  path: string,
  verb: string,
  read: () => T,
  missing = ['ENOENT', 'ENOTDIR'],
): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ManifoldError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== undefined && missing.includes(code)) return undefined;
    throw new ManifoldError('io', `Cannot ${verb} ${path}: ${message}`, { cause: error });
  }
}
