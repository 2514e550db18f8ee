// Network namespaces: opening them and running code inside. The only file that calls setns(2).
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';
import { errnoName, kernelError } from './kernel-error.ts';
import { libc } from './libc.ts';

const CLONE_NEWNET = 0x40000000;
/** ioctl of nsfs, since Linux 4.11: the kind of a namespace. Any other file answers ENOTTY. */
const NS_GET_NSTYPE = 0xb703n;

/** A descriptor that keeps a network namespace alive. */
export interface OpenNetns {
  readonly fd: number;
  /** "<dev>:<inode>" of its nsfs file. */
  readonly id: string;
}

/** Opens a network namespace; undefined when nothing is at the path or it is no network namespace. */
export function openNetns(path: string): OpenNetns | undefined {
  let fd: number;
  try {
    // A FIFO would make a plain open wait for ever.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new ManifoldError('bad-netns', `Cannot open network namespace ${path}: ${String(code)}`, {
      cause: error,
    });
  }
  if (libc().ioctl(fd, NS_GET_NSTYPE, 0n) !== CLONE_NEWNET) {
    closeSync(fd);
    return undefined;
  }
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { fd, id: `${dev}:${ino}` };
}

/** The namespace of the calling thread. */
export function openOwnNetns(): OpenNetns {
  const path = '/proc/thread-self/ns/net';
  const netns = openNetns(path);
  if (netns === undefined) {
    throw new ManifoldError(
      'bad-netns',
      `Cannot open the network namespace of this process: nothing at ${path}`,
      {
        hint: 'Is /proc mounted, and is the kernel 4.11 or newer?',
      },
    );
  }
  return netns;
}

/**
 * Runs `work` with this thread inside the namespace and comes back. `work` must be synchronous: whatever ran
 * later would run outside. When the way back fails the process ends, as every later call would hit the wrong
 * namespace.
 * @param name what to call it in an error: its path
 * @throws ManifoldError 'internal' when `work` returns a promise; what `work` throws
 */
export function inNamespace<T>(fd: number, work: () => T, name = `descriptor ${fd}`): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const { setns, errno } = libc();
  try {
    if (setns(fd, CLONE_NEWNET) !== 0) throw kernelError(`enter network namespace ${name}`, errno());
    let result: T;
    try {
      result = work();
    } finally {
      if (setns(home, CLONE_NEWNET) !== 0) endProcess(errno());
    }
    if (typeof result === 'object' && result !== null && 'then' in result) {
      throw new ManifoldError(
        'internal',
        'Cannot run work in a network namespace: it must not be asynchronous',
      );
    }
    return result;
  } finally {
    closeSync(home);
  }
}

/** process.exit() would run exit handlers here, and in a worker thread end only the worker. */
function endProcess(errno: number): never {
  writeSync(
    2,
    `Cannot return to the network namespace of this process: ${errnoName(errno)}; ending the process\n`,
  );
  libc()._exit(70);
  throw new Error('unreachable');
}
