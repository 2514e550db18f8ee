// What is in none of the namespaces that a call knows of is looked for in all that this process can see. Reads all of
// /proc: not for every call.
import { readdirSync, statSync } from 'node:fs';
import type { Kernel, Namespace } from './kernel.ts';
import { isSystemError } from './system-error.ts';

export interface Elsewhere<T> {
  /** Open: the caller closes it. */
  readonly namespace: Namespace;
  readonly found: T;
}

/** Asks `look` in every namespace but the host's, until it finds something. */
export function lookElsewhere<T>(
  kernel: Kernel,
  look: (namespace: Namespace) => T | undefined,
): Elsewhere<T> | undefined {
  for (const path of otherNamespaces(kernel.host().id)) {
    const namespace = kernel.openIfThere(path);
    if (namespace === undefined) continue;
    let found: T | undefined;
    try {
      found = look(namespace);
    } finally {
      if (found === undefined) namespace.close();
    }
    if (found !== undefined) return { namespace, found };
  }
  return undefined;
}

const NAMED = ['/run/netns', '/run/docker/netns'];

/** One path for each: those with a name first, as people know them by it. */
function otherNamespaces(ownId: string): string[] {
  const named = NAMED.flatMap((directory) => namesIn(directory).map((name) => `${directory}/${name}`));
  const running = namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `/proc/${pid}/ns/net`);
  const seen = new Set([ownId]);
  return [...named, ...running].filter((path) => {
    const id = idOf(path);
    if (id === undefined || seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

/** As Namespace.id. */
function idOf(path: string): string | undefined {
  const found = ifThere(() => statSync(path, { bigint: true }));
  return found && `${found.dev}:${found.ino}`;
}

const namesIn = (directory: string): string[] => ifThere(() => readdirSync(directory)) ?? [];

/** Processes end while they are looked at; some are not for us to look at. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ESRCH', 'EACCES')) return undefined;
    throw error;
  }
}
