// Which types run in this process. One of them is the name of another project's program: it is ours only where the file
// that CNI_PATH has under it is this one.
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
  const file = fileOf(WHEREABOUTS, path);
  const isOurs = file !== undefined && own !== undefined && files.identity(file) === own;
  return isOurs ? new Set([...ownTypes, WHEREABOUTS]) : ownTypes;
}

function fileOf(type: string, path: readonly string[]): string | undefined {
  try {
    return findPlugin(type, path);
  } catch (error) {
    if (isManifoldError(error, 'not-found')) return undefined;
    throw error;
  }
}
