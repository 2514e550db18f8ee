// Entries of libcni's cache that outlived their sandbox: of a DEL that could not write, on a file system that was read-only.
import type { GcCall } from '../pkg/cni/plugin.ts';
import { deleteCachedResult, listCachedResults } from '../pkg/cni/result-cache.ts';
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';

/**
 * Removes the entries of sandboxes that neither the runtime nor the journal knows. Nothing reads them but other tools,
 * so what cannot be removed is told in the log.
 * @param networks names of the networks that GC knows: in a directory that other tools write to (cniDir), theirs stay
 */
export function sweepCache(call: GcCall<MetaConfig>, store: NodeStore, networks: ReadonlySet<string>): void {
  const { cniDir, manifold } = call.config;
  const directory = cniDir ?? manifold.stateDir;
  const warn = (reason: string) => call.log.warn('cached result is not swept', { reason });
  try {
    const entries = listCachedResults(directory, warn);
    // Read after the entries: the record of an attachment is there before its entry is.
    const known = new Set([...store.attachments.all(), ...call.valid].map((one) => one.containerId));
    for (const entry of entries)
      if (!known.has(entry.containerId) && (cniDir === undefined || networks.has(entry.network)))
        deleteCachedResult(directory, entry);
  } catch (error) {
    if (!isManifoldError(error, 'io')) throw error;
    warn(error.message);
  }
}
