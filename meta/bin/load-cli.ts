// Brings in the command line for people only when somebody types one: no call of a runtime pays for it.
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { getAsset, isSea } from 'node:sea';
import { compileFunction } from 'node:vm';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type * as Cli from '../cli/main.ts';

/** Set by the build; missing where the source runs as it is. */
declare const MANIFOLD_SNAPSHOT: boolean | undefined;
const FILE = 'manifold-cli.cjs';

/** The exports of meta/cli/main.ts: from the source, from inside the executable, or from the file beside the script. */
export async function loadCli(): Promise<typeof Cli> {
  if (typeof MANIFOLD_SNAPSHOT === 'undefined') return import('../cli/main.ts');
  const code = isSea()
    ? getAsset(FILE, 'utf8')
    : readFileSync(join(dirname(realpathSync(argv[1] ?? '')), FILE), 'utf8');
  const loaded = { exports: {} };
  // The file is bundled apart; of the errors' class there must be one, or `instanceof` would not hold.
  const shared = { isManifoldError, ManifoldError };
  compileFunction(code, ['module', 'exports', 'shared'], { filename: FILE })(loaded, loaded.exports, shared);
  return loaded.exports as typeof Cli;
}
