// What stands under a name of the store's: anything but a regular file is refused before SQLite opens it.
import { lstatSync, type Stats, statSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';

/** Files that SQLite would open. */
const SUFFIXES = ['', '-wal', '-shm', '-journal'];

/**
 * @returns whether the file is there
 * @throws ManifoldError 'state' when it, or one of those beside it, is something else; errors of node:fs as they come
 */
export function isThere(path: string): boolean {
  const stats = SUFFIXES.map((suffix) => regular(`${path}${suffix}`));
  return stats[0] !== undefined;
}

function regular(path: string): Stats | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile()) return stat;
  if (stat !== undefined) throw notAFile(path, kindOf(stat));
  // It may also have been made between the two questions.
  const link = lstatSync(path, { throwIfNoEntry: false });
  if (link?.isSymbolicLink()) throw notAFile(path, 'a symbolic link that leads nowhere');
  return link;
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a directory, not a file';
  if (stat.isFIFO()) return 'a pipe, not a file'; // opening it would wait for somebody at the other end
  if (stat.isSocket()) return 'a socket, not a file';
  return 'a device, not a file';
}

const notAFile = (path: string, kind: string): ManifoldError =>
  new ManifoldError('state', `Cannot open the node's store: it is ${kind} (${path})`, {
    hint: 'Find out who put it there and move it away, or name another stateDir in the "manifold" object of the network configuration.',
  });
