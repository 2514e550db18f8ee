// Which types run in this process. Some are names of other projects' programs: such a one is ours only where the file
// that CNI_PATH has under it is this one.
import { RDMA } from '../cni/rdma/plugin.ts';
import { WHEREABOUTS } from '../ipam/whereabouts/plugin.ts';
import { findPlugin } from '../pkg/cni/exec-plugin.ts';
import { isManifoldError } from '../pkg/errors/manifold-error.ts';
import type { MetaDeps } from './deps.ts';

/** @param path CNI_PATH, as the delegates will be called with it */
export function ownTypesFor(
  { ownTypes, ownFile, files }: Pick<MetaDeps, 'ownTypes' | 'ownFile' | 'files'>,
  path: readonly string[],
): ReadonlySet<string> {
  const own = files.identity(ownFile);
  const dropIns = [WHEREABOUTS, RDMA].filter((type) => {
    const file = fileOf(type, path);
    return file !== undefined && own !== undefined && files.identity(file) === own;
  });
  return dropIns.length === 0 ? ownTypes : new Set([...ownTypes, ...dropIns]);
}

function fileOf(type: string, path: readonly string[]): string | undefined {
  try {
    return findPlugin(type, path);
  } catch (error) {
    if (isManifoldError(error, 'not-found')) return undefined;
    throw error;
  }
}
