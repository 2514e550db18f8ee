// Whether a delegate would call manifold again, under its own name or another. Multus has fork-bombed nodes this way.
import { basename } from 'node:path';
import type { MetaDeps } from './deps.ts';

export const MANIFOLD = 'manifold';

/**
 * A type is ourselves by name, by a symbolic link to such a name, or as another name of the file that runs now.
 * @param path CNI_PATH
 */
export function isOurselves(
  type: string,
  path: readonly string[],
  { files, ownTypes, ownFile }: Pick<MetaDeps, 'files' | 'ownTypes' | 'ownFile'>,
): boolean {
  if (type === MANIFOLD) return true;
  // One executable serves all our plugins, hard-linked: their names are told apart by what runs in process.
  if (ownTypes.has(type)) return false;
  const file = path.map((directory) => `${directory}/${type}`).find((one) => files.kind(one) === 'file');
  if (file === undefined) return false;
  const own = files.identity(ownFile);
  return (
    basename(files.realPath(file) ?? file) === MANIFOLD || (own !== undefined && files.identity(file) === own)
  );
}

/** CNI_PATH with the configured directory before it. */
export function searchPath(binDir: string | undefined, path: readonly string[]): readonly string[] {
  return binDir === undefined ? path : [binDir, ...path];
}
