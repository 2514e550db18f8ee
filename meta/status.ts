// STATUS: whether the next ADD can be served, as far as can be known before it: the networks of every pod, the files
// that they need, the directory of definitions, the store.
import type { Call } from '../pkg/cni/plugin.ts';
import { statusOfList } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { type MetaConfig, refuseUnsupported } from './config.ts';
import { planOfAnyPod } from './configured-networks.ts';
import { readDefinitions } from './definition-directory.ts';
import type { MetaDeps } from './deps.ts';
import { listOf } from './network.ts';
import { readEveryPodNetworks } from './networks.ts';
import { searchPath } from './ourselves.ts';
import { missingPlugin, networkSources } from './read-plan.ts';

/** @throws ManifoldError 'unavailable', or what a delegate's STATUS said with its own code */
export async function status(deps: MetaDeps, call: Call<MetaConfig>): Promise<void> {
  refuseUnsupported(call.raw);
  const sources = networkSources(deps, call);
  const everyPod = unavailable('any pod', () => {
    readDefinitionsDirectory(deps, call);
    deps.openStore(call.config.manifold).ensureWritable();
    return readEveryPodNetworks(sources);
  });
  const planned = unavailable(undefined, () => planOfAnyPod(sources, call, everyPod));
  const path = searchPath(call.config.binDir, call.path);
  for (const { network } of planned) {
    const missing = missingPlugin(deps, call, network);
    if (missing !== undefined) throw asUnavailable(missing, `network ${network.label}`);
    try {
      await statusOfList(listOf(network.config, network.source), call.delegates, { path });
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      throw asUnavailable(error, `network ${network.label}`);
    }
  }
}

/** A broken manifest stands in the way of its own network only: it is told in the log. */
function readDefinitionsDirectory(deps: MetaDeps, call: Call<MetaConfig>): void {
  const { networksDir } = call.config.manifold;
  const { problems } = readDefinitions(deps.files, networksDir);
  for (const problem of problems) call.log.warn('a definition cannot be used', { problem });
}

/** @param what cannot be attached; undefined where the messages say so themselves */
function unavailable<T>(what: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    throw asUnavailable(error, what);
  }
}

function asUnavailable(error: ManifoldError, what: string | undefined): ManifoldError {
  const message = what === undefined ? error.message : `Cannot attach ${what}: ${error.message}`;
  return new ManifoldError('unavailable', message, {
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.cniCode !== undefined && { cniCode: error.cniCode }),
  });
}
