// manifold-agent: flags, signals, the real things that the agent stands on.
import { argv, env, exit, pid } from 'node:process';
import { nodeNameOf } from '../../ipam/node-name.ts';
import { THEIR_NAMESPACE } from '../../ipam/whereabouts/objects.ts';
import { createReservations } from '../../ipam/whereabouts/reservations.ts';
import { isNodeName, NODE_NAME_RULE } from '../../pkg/cni/fields.ts';
import { writeAll } from '../../pkg/cni/stdio.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import { inClusterAccess } from '../../pkg/kube/in-cluster.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { withLongLock } from '../../pkg/state/long-lock.ts';
import { openNodeStore, storeIsThere } from '../../pkg/state/open-node-store.ts';
import { runAgent } from '../agent/agent.ts';
import { DEFAULT_TIMINGS } from '../agent/agent-deps.ts';
import { nodeNamespaces } from '../agent/node-namespaces.ts';
import { ensureNodeView } from '../agent/node-view.ts';
import { type AgentOptions, HELP, parseAgentOptions } from '../agent/options.ts';
import { boot } from './boot.ts';

/** Set by the build from package.json; missing where the source runs as it is. */
declare const MANIFOLD_VERSION: string | undefined;

const VERSION = typeof MANIFOLD_VERSION === 'undefined' ? 'from source' : MANIFOLD_VERSION;
/** The one before, of an upgrade, is ending. */
const LOCK_WAIT_MS = 60_000;
/** A pass waits for a plugin's transaction, not for a plugin that hangs in one. */
const BUSY_TIMEOUT_MS = 1000;
/** Whatever does not end by itself by then is cut off: nothing is lost by it. */
const END_MS = 8000;

async function main(): Promise<void> {
  try {
    const command = parseAgentOptions(argv.slice(2));
    if ('print' in command) {
      writeAll(1, command.print === 'help' ? HELP : `manifold-agent ${VERSION}\n`);
      exit(0);
    }
    ensureNodeView(pid);
    await serve(command.run);
    exit(0);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    writeAll(2, `${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
    exit(1);
  }
}

async function serve(options: AgentOptions): Promise<void> {
  const { stateDir, runDir, kubeconfig, namespace, nodeSilenceMs, logLevel } = options;
  const log = createLogger({ level: logLevel, sink: (line) => writeAll(2, line) });
  const access = kubeconfig === undefined ? inClusterAccess(env) : await readKubeconfig(kubeconfig);
  const client = createKubeClient(access, { log, userAgent: `manifold-agent/${VERSION}` });
  // Standard error is for lines of JSON.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => log.debug(name, { message }));
  const namespaceOfTheirs = async () => access.namespace ?? THEIR_NAMESPACE;
  const stop = stopSignal();
  const openStore = () =>
    storeIsThere(stateDir)
      ? openNodeStore(stateDir, { runDirectory: runDir, log, busyTimeoutMs: BUSY_TIMEOUT_MS })
      : undefined;
  await withLongLock(
    stateDir,
    'agent',
    async (lost) => {
      const deps = {
        ...{ client, log, openStore, kernel: createKernel(), namespaces: nodeNamespaces },
        monotonicMs: () => performance.now(),
        ...(options.whereabouts === 'open' && {
          reservations: createReservations({ client, namespace: namespaceOfTheirs }),
        }),
      };
      const settings = {
        nodeName: ownName(options.nodeName),
        namespace,
        nodeSilenceMs,
        timings: DEFAULT_TIMINGS,
      };
      await runAgent(deps, settings, AbortSignal.any([stop, lost]));
      if (lost.aborted)
        log.error('another agent of this node has taken over', { reason: String(lost.reason) });
    },
    { waitMs: LOCK_WAIT_MS },
  );
}

/** @throws ManifoldError 'bad-config' when the environment, or the host, has a name that no Node can have */
function ownName(given: string | undefined): string {
  const name = nodeNameOf(given);
  if (isNodeName(name)) return name;
  throw new ManifoldError(
    'bad-config',
    `Cannot start the agent: the name of its node ${NODE_NAME_RULE} ("${name}")`,
    {
      hint: 'Name the Node object of this node: --node-name NAME.',
    },
  );
}

/** Comes with SIGTERM and SIGINT. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  // Not once: proper-lockfile's signal-exit ends the process at a signal that nobody else listens for any more.
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => {
      stop.abort();
      setTimeout(() => exit(0), END_MS).unref();
    });
  return stop.signal;
}

boot(() => void main());
