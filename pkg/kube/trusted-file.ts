// A file that a definition may name: one that only root can have written, and no container's root.
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { geteuid } from 'node:process';

/** `distrusted`: why it is not read, to stand after "Cannot use …: ". */
export type TrustedFile = { readonly text: string } | { readonly distrusted: string };

export const TRUSTED_HINT =
  'It must be a regular file of root outside of all container directories, and neither it nor a directory above it may be writable by group or others: chown root:root, chmod go-w.';

/**
 * Reads it only if no tenant of the node can have written it. Never waits: a FIFO is refused, not opened for reading.
 * Whoever is not root trusts its own files, too.
 * @throws the error of node:fs where there is no such file, or it cannot be read
 */
export function readTrustedFile(path: string): TrustedFile {
  // Also takes links of /proc/<pid>/root for what their text says: they do not lead into the namespace of a container.
  const real = realpathSync(path);
  if (isOfContainer(real)) return { distrusted: 'it lies where containers keep their files' };
  for (let directory = dirname(real); ; directory = dirname(directory)) {
    const { uid, mode } = lstatSync(directory);
    if (!isOwner(uid)) return { distrusted: `its directory ${directory} is not root's` };
    // In a sticky directory nobody replaces what is another's.
    if (isWritable(mode) && (mode & STICKY) === 0)
      return { distrusted: `its directory ${directory} is writable by group or others` };
    if (directory === '/') break;
  }
  const fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const found = fstatSync(fd);
    if (found.isDirectory()) return { distrusted: 'it is a directory' };
    if (!found.isFile()) return { distrusted: 'it is no regular file' };
    if (!isOwner(found.uid)) return { distrusted: `it is not root's, but that of user ${found.uid}` };
    if (isWritable(found.mode)) return { distrusted: 'it is writable by group or others' };
    return { text: readFileSync(fd, 'utf8') };
  } finally {
    closeSync(fd);
  }
}

/** Root inside a container is root to the file system: volumes and layers are told by where they lie. */
const isOfContainer = (path: string): boolean =>
  !path.startsWith('/etc/') &&
  (/^\/(proc|sys|dev)\//.test(path) ||
    /\/(kubelet\/(pods|plugins)|containerd|containers|docker|crio|rootfs)\//.test(path) ||
    /\/volumes\/[^/]*~[^/]*\//.test(path));

const STICKY = 0o1000;
const isOwner = (uid: number): boolean => uid === 0 || uid === geteuid?.();
const isWritable = (mode: number): boolean => (mode & 0o022) !== 0;
