// `manifold` is two programs in one: the meta plugin when a runtime calls it, a command line when a person does.
import { argv, env, exit } from 'node:process';
import { writeAll } from '../../pkg/cni/stdio.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { openNodeStore, storeIsThere } from '../../pkg/state/open-node-store.ts';
import { loadCli } from './load-cli.ts';
import { metaAndDelegates } from './meta-and-delegates.ts';
import { ownFile, start } from './start.ts';

/** Set by the build from package.json; missing where the source runs as it is. */
declare const MANIFOLD_VERSION: string | undefined;

export async function startManifold(): Promise<void> {
  const words = argv.slice(2);
  if (env.CNI_COMMAND || words.length === 0) {
    return start('manifold', (deps) => metaAndDelegates(deps, ownFile()));
  }
  const stdout = (text: string) => writeAll(1, text);
  const stderr = (text: string) => writeAll(2, text);
  const log = createLogger({ level: 'warn', sink: stderr });
  // Whoever looks changes nothing: no store is made, no deferred release carried out.
  const openStore = (stateDir: string) =>
    storeIsThere(stateDir) ? openNodeStore(stateDir, { log }) : undefined;
  const version = typeof MANIFOLD_VERSION === 'undefined' ? 'from source' : MANIFOLD_VERSION;
  const { runCli } = await loadCli();
  exit(await runCli(words, { version, openStore, kernel: createKernel(), env, stdout, stderr }));
}
