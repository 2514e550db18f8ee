// The network namespaces of this node, and which of them have which addresses.
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../pkg/cni/errno.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Kernel, Namespace } from '../../pkg/kernel/kernel.ts';
import type { ClusterLeaseRecord } from '../../pkg/state/node-store.ts';
import type { Holding } from './holdings.ts';
import { namespaceId } from './node-evidence.ts';

/**
 * Every network namespace of this node, some of them twice: those that have names, and those that processes are in. So
 * those too whose mounts this process does not see.
 */
export const nodeNamespaces = (): string[] => [...namedNamespaces(), ...processNamespaces()];

/** Where runtimes and `ip netns` give namespaces names. */
const NAMED = ['/run/netns', '/var/run/netns', '/var/run/docker/netns'];

function namedNamespaces(): string[] {
  const paths = NAMED.flatMap((directory) => {
    try {
      const real = realpathSync(directory);
      return readdirSync(real).map((name) => join(real, name));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    }
  });
  return [...new Set(paths)];
}

/** A path of each namespace that a process is in. */
function processNamespaces(): string[] {
  const paths = new Map<string, string>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const path = `/proc/${pid}/ns/net`;
    try {
      paths.set(readlinkSync(path), path);
    } catch (error) {
      // It has ended, or may not be looked at: then it is not in our hands.
      if (!isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) throw error;
    }
  }
  return [...paths.values()];
}

/** True when one of them is another than that of this process. */
export function seesAnother(kernel: Pick<Kernel, 'openIfThere'>, paths: readonly string[]): boolean {
  const own = namespaceId(kernel, '/proc/self/ns/net');
  return paths.some((path) => {
    const namespace = openOf(kernel, path);
    namespace?.close();
    return namespace !== undefined && namespace.id !== own;
  });
}

/**
 * Which namespaces have which addresses, as text without prefix length. Blocks for about a millisecond a namespace, so
 * it is asked only when something is about to be ended.
 */
export function readAnswering(
  kernel: Pick<Kernel, 'openIfThere'>,
  paths: Iterable<string>,
): ReadonlyMap<string, readonly string[]> {
  const answering = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const path of paths) {
    const namespace = openOf(kernel, path);
    if (namespace === undefined) continue;
    try {
      if (seen.has(namespace.id)) continue;
      seen.add(namespace.id);
      for (const { cidr } of namespace.addresses()) {
        const [address = ''] = cidr.split('/');
        answering.set(address, [...(answering.get(address) ?? []), namespace.id]);
      }
    } finally {
      namespace.close();
    }
  }
  return answering;
}

function openOf(kernel: Pick<Kernel, 'openIfThere'>, path: string): Namespace | undefined {
  try {
    return kernel.openIfThere(path);
  } catch (error) {
    // A process that is ending: its namespace is another process' too, or ends with it.
    if (path.startsWith('/proc/') && isManifoldError(error, 'bad-netns')) return undefined;
    throw error;
  }
}

/** Another domain may have the same address: what is known to have it there does not count. */
export function answersFor(
  { name, address }: Holding,
  answering: ReadonlyMap<string, readonly string[]>,
  kernel: Pick<Kernel, 'openIfThere'>,
  rows: readonly ClusterLeaseRecord[],
): boolean {
  const ids = answering.get(address) ?? [];
  if (ids.length === 0) return false;
  const elsewhere = rows.filter((row) => row.address === address && row.name !== name);
  const theirs = new Set(elsewhere.map(({ netns }) => namespaceId(kernel, netns)));
  return ids.some((id) => !theirs.has(id));
}
