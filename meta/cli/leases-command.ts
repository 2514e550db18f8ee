// The words of `manifold leases`: what may be typed, and which report it asks for.
import type { Argv } from 'yargs';
import { type Address, formatAddress } from '../../pkg/ip/address.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { type ClusterChoice, withCluster } from './cluster.ts';
import { readLeaseFacts } from './lease-facts.ts';
import { leaseListReport } from './lease-list.ts';
import { leaseReleaseReport } from './lease-release.ts';
import { leaseStory } from './lease-why.ts';
import { addressOf, leasesOfAddress, surroundings } from './leases-of-address.ts';
import type { Report } from './main.ts';
import { theirHolders } from './their-holders.ts';
import { UsageError } from './usage-error.ts';

export interface LeasesDeps {
  readonly env: ClusterChoice['env'];
  readonly print: (report: Report) => void;
  /** Said aside: with --verbose. */
  readonly aside: (line: string) => void;
}

const OUTPUTS = ['table', 'wide', 'json'] as const;

/** `leases`, `leases why`, `leases release` as commands of the parser. */
export function leasesCommands(leases: Argv, deps: LeasesDeps) {
  const report = async (args: Words, work: (client: KubeClient) => Promise<Report>): Promise<void> =>
    deps.print(
      await withCluster(
        clusterOf(args, deps.env),
        args.verbose === true ? deps.aside : () => undefined,
        work,
      ),
    );
  return clusterOptions(leases)
    .usage('$0 leases\n\nShows who holds which address in the cluster.')
    .command(
      '$0',
      'show who holds which address in the cluster',
      (command) => listOptions(command),
      (args) => {
        const filter = {
          ...podOf(one(args, 'pod'), one(args, 'namespace')),
          network: one(args, 'network'),
          node: one(args, 'node'),
        };
        const output = OUTPUTS.find((form) => form === one(args, 'output')) ?? 'table';
        return report(args, (client) => leaseListReport(client, filter, output));
      },
    )
    .command(
      'why <address>',
      'say who holds an address, since when, and what would free it',
      (command) => whyOptions(command),
      (args) => {
        const address = addressOf(args.address);
        const domain = one(args, 'domain');
        return report(args, (client) => whyReport(client, address, domain));
      },
    )
    .command(
      'release <address>',
      'end the lease of an address that nobody uses',
      (command) => releaseOptions(command),
      (args) => {
        const address = addressOf(args.address);
        const options = {
          domain: one(args, 'domain'),
          force: args.force === true,
          dryRun: args.dryRun === true,
        };
        return report(args, (client) => leaseReleaseReport(client, address, options));
      },
    );
}

type Words = Readonly<Record<string, unknown>>;

async function whyReport(client: KubeClient, address: Address, domain: string | undefined): Promise<Report> {
  const leases = await leasesOfAddress(client, address, domain);
  if (leases.length === 0) {
    const text = formatAddress(address);
    const theirs = await theirHolders(client, address);
    const first = theirs.length === 0 ? `${text} is free: it has no lease.` : `${text} has no lease.`;
    return { lines: [first, ...theirs, ...(await surroundings(client, address, domain))], exitCode: 0 };
  }
  const stories = await Promise.all(
    leases.map(async (lease) => leaseStory(lease, await readLeaseFacts(client, lease), client.now())),
  );
  return { lines: stories.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])), exitCode: 0 };
}

export const clusterOptions = <T>(command: Argv<T>) =>
  command
    .option('kubeconfig', {
      type: 'string',
      requiresArg: true,
      describe:
        'of the cluster; else $KUBECONFIG, what the CNI configuration of this node names, the pod, ~/.kube/config',
    })
    .option('conf-dir', {
      type: 'string',
      requiresArg: true,
      default: '/etc/cni/net.d',
      describe: 'directory of the CNI configurations of this node',
    })
    .option('verbose', { type: 'boolean', describe: 'say which cluster is asked, and why that one' });

const listOptions = <T>(command: Argv<T>) =>
  command
    .option('network', { type: 'string', requiresArg: true, describe: 'only of this network' })
    .option('namespace', {
      alias: 'n',
      type: 'string',
      requiresArg: true,
      describe: 'only of pods of this namespace',
    })
    .option('node', { type: 'string', requiresArg: true, describe: 'only of this node' })
    .option('pod', {
      type: 'string',
      requiresArg: true,
      describe: 'only of this pod: NAME or NAMESPACE/NAME',
    })
    .option('output', {
      alias: 'o',
      choices: OUTPUTS,
      default: 'table' as const,
      requiresArg: true,
      describe: 'how',
    })
    .example('$0 leases', 'all of them')
    .example(
      '$0 leases --network rail0 --node gpu-12 -o wide',
      'of one network on one node, with more columns',
    )
    .example('$0 leases --pod shop/db-0 -o json', 'of one pod, for a script')
    .example('$0 leases why 10.1.2.3', 'who holds an address, and what would free it')
    .example('$0 leases release 10.1.2.3 --dry-run', 'what releasing it would do');

const domainOption = <T>(command: Argv<T>) =>
  command
    .positional('address', { type: 'string', demandOption: true, describe: 'the address, in any spelling' })
    .option('domain', {
      type: 'string',
      requiresArg: true,
      describe: 'allocation domain (network_name of the definition); all of them without it',
    });

const whyOptions = <T>(command: Argv<T>) =>
  domainOption(command)
    .usage('$0 leases why <address>\n\nSays who holds an address, since when, and what would free it.')
    .example('$0 leases why 10.1.2.3', 'in whatever domain it is held')
    .example('$0 leases why fd00::1 --domain storage', 'in one domain');

const releaseOptions = <T>(command: Argv<T>) =>
  domainOption(command)
    .usage(
      '$0 leases release <address>\n\nEnds the lease of an address. Refuses while a pod, or an interface on a living node, may be using it.',
    )
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'end it although somebody may be using it',
    })
    .option('dry-run', { type: 'boolean', default: false, describe: 'only say what would be done' })
    .example('$0 leases release 10.1.2.3 --dry-run', 'what would be done')
    .example('$0 leases release 10.1.2.3', 'end it')
    .example(
      '$0 leases release 10.1.2.3 --force',
      'although somebody may be using it: two pods may then have it',
    );

export const clusterOf = (args: Words, env: ClusterChoice['env']): ClusterChoice => ({
  kubeconfig: one(args, 'kubeconfig'),
  confDir: one(args, 'conf-dir') ?? '',
  env,
});

/** @throws UsageError for an option that is given twice, or empty */
function one(args: Words, option: string): string | undefined {
  const value = args[option];
  if (value === undefined) return undefined;
  if (Array.isArray(value)) throw new UsageError(`--${option} can be given once.`);
  // "" is a domain: the unnamed one.
  if (typeof value === 'string' && (value !== '' || option === 'domain')) return value;
  throw new UsageError(`--${option} needs a value after it.`);
}

function podOf(pod: string | undefined, namespace: string | undefined) {
  const [first = '', second] = pod?.split('/') ?? [];
  if (pod === undefined) return { namespace };
  if (second === undefined) return { namespace, pod: first };
  if (namespace !== undefined && namespace !== first)
    throw new UsageError('--pod and --namespace name two namespaces.');
  return { namespace: first, pod: second };
}
