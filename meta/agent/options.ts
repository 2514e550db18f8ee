// The flags of manifold-agent.
import { parseArgs } from 'node:util';
import { readDuration } from '../../ipam/duration.ts';
import { isNodeName, NODE_NAME_RULE } from '../../pkg/cni/fields.ts';
import { DEFAULT_RUN_DIR, DEFAULT_STATE_DIR } from '../../pkg/cni/manifold-options.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { LogLevel } from '../../pkg/log/logger.ts';
import { DEFAULT_NODE_SILENCE } from './agent-deps.ts';

export interface AgentOptions {
  /** Undefined: the service account of the pod. */
  readonly kubeconfig: string | undefined;
  /** Undefined: as everywhere, from the environment or the host name. */
  readonly nodeName: string | undefined;
  readonly namespace: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly nodeSilenceMs: number;
  /** open: Whereabouts may run in the same cluster. */
  readonly whereabouts: 'open' | 'closed';
  readonly logLevel: LogLevel;
}

export type AgentCommand = { readonly run: AgentOptions } | { readonly print: 'help' | 'version' };

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
/** Less, and a kubelet that is restarted is taken for a node that is lost. */
const LEAST_SILENCE_SECONDS = 60;

export const HELP = `manifold-agent [flags]

One process a node. Ends the leases of addresses that no DEL will end: of pods that are gone, of nodes that are lost.
Nothing else of Manifold needs it.

  --kubeconfig FILE      where and as whom the API server is asked (default: as the pod that this runs in)
  --node-name NAME       name of this node's Node object (default: $NODENAME, else the host name)
  --namespace NAME       of the coordination Leases (default: kube-system)
  --state-dir DIR        directory of the state of this node (default: ${DEFAULT_STATE_DIR})
  --run-dir DIR          directory of what need not outlive a reboot (default: ${DEFAULT_RUN_DIR})
  --node-silence TIME    for how long a node shows no life before its dead pods' leases end (default: ${DEFAULT_NODE_SILENCE}, at least 1m)
  --whereabouts STATE    open while Whereabouts runs in the same cluster, as in the CNI configuration (default: closed)
  --log-level LEVEL      debug, info, warn or error (default: info); one JSON object a line, on standard error
  --version              print the version
  --help                 print this

It must see the processes and the network namespaces of the node: in a pod that is hostPID: true, and /run/netns and
/var/run/netns mounted with mountPropagation: HostToContainer.

Examples:
  manifold-agent --kubeconfig /etc/cni/net.d/manifold.d/kubeconfig
  manifold-agent --node-name "$NODE_NAME" --node-silence 10m
`;

/** @throws ManifoldError 'bad-config' for a flag that cannot be understood */
export function parseAgentOptions(argv: readonly string[]): AgentCommand {
  const values = parsed(argv);
  if (values.help) return { print: 'help' };
  if (values.version) return { print: 'version' };
  const level = values['log-level'] ?? 'info';
  const logLevel = LEVELS.find((known) => known === level);
  if (logLevel === undefined) throw refused('log-level', level, `must be one of ${LEVELS.join(', ')}`);
  const whereabouts = values.whereabouts ?? 'closed';
  if (whereabouts !== 'open' && whereabouts !== 'closed')
    throw refused('whereabouts', whereabouts, 'must be open or closed');
  const silence = values['node-silence'] ?? DEFAULT_NODE_SILENCE;
  const seconds = readDuration(silence);
  if (seconds === undefined || seconds < LEAST_SILENCE_SECONDS)
    throw refused('node-silence', silence, 'must be a length of time such as "5m" or "1h30m", at least "1m"');
  return {
    run: {
      kubeconfig: given('kubeconfig', values.kubeconfig),
      nodeName: nameGiven(values['node-name']),
      namespace: given('namespace', values.namespace) ?? 'kube-system',
      stateDir: given('state-dir', values['state-dir']) ?? DEFAULT_STATE_DIR,
      runDir: given('run-dir', values['run-dir']) ?? DEFAULT_RUN_DIR,
      nodeSilenceMs: seconds * 1000,
      whereabouts,
      logLevel,
    },
  };
}

function parsed(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        kubeconfig: { type: 'string' },
        'node-name': { type: 'string' },
        namespace: { type: 'string' },
        'state-dir': { type: 'string' },
        'run-dir': { type: 'string' },
        'node-silence': { type: 'string' },
        whereabouts: { type: 'string' },
        'log-level': { type: 'string' },
        version: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    // ERR_PARSE_ARGS_*: its messages name the argument.
    if (!(error instanceof TypeError && 'code' in error)) throw error;
    throw new ManifoldError('bad-config', `Cannot start the agent: ${error.message}`, { hint: SEE });
  }
}

const SEE = 'See "manifold-agent --help".';

function given(flag: string, value: string | undefined): string | undefined {
  if (value === '') throw refused(flag, value, 'must not be empty');
  return value;
}

function nameGiven(name: string | undefined): string | undefined {
  if (name !== undefined && !isNodeName(name)) throw refused('node-name', name, NODE_NAME_RULE);
  return name;
}

const refused = (flag: string, value: string, rule: string): ManifoldError =>
  new ManifoldError('bad-config', `Cannot start the agent: --${flag} ${rule} ("${value}")`, { hint: SEE });
