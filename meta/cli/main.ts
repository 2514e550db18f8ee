// The command line for people. It is bundled apart and loaded only when somebody types a command: yargs is here.
import yargs, { type Argv } from 'yargs';
import { DEFAULT_RUN_DIR, DEFAULT_STATE_DIR } from '../../pkg/cni/manifold-options.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import type { Namespaces } from './check-kernel.ts';
import { checkStateReport } from './check-state.ts';
import { type LeasesDeps, leasesCommands } from './leases-command.ts';
import { migrateCommands } from './migrate-command.ts';
import { removeBroken } from './remove-broken.ts';
import { statusReport } from './status.ts';
import { UsageError } from './usage-error.ts';
import { visible } from './visible.ts';

export interface CliDeps {
  readonly version: string;
  /** Makes nothing: undefined where there is no store. */
  readonly openStore: (stateDir: string) => NodeStore | undefined;
  /** Where the namespaces of the node can be looked at. */
  readonly kernel?: Namespaces;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** What a command prints, and the exit code. */
export interface Report {
  readonly lines: readonly string[];
  readonly exitCode: number;
}

/**
 * Runs one command: `version`, `status`, `check-state`, `leases`, `migrate`.
 * @param argv without the program's own name
 * @returns the exit code: 0, 1 when something is wrong with the node or refused, 2 for a command that cannot be understood
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  let exitCode = 0;
  const print = ({ lines, exitCode: code }: Report): void => {
    deps.stdout(printed(lines));
    exitCode = code;
  };
  const withStore = (stateDir: string, report: (store: NodeStore) => Report): void => {
    const store = deps.openStore(stateDir);
    if (store === undefined) throw noStore(stateDir);
    try {
      print(report(store));
    } finally {
      store.close();
    }
  };
  const cluster: LeasesDeps = { env: deps.env, print, aside: (line) => deps.stderr(printed([line])) };
  const parser = yargs()
    .scriptName('manifold')
    .usage(
      '$0 <command>\n\nManifold attaches pods to several networks. A container runtime calls it as a CNI plugin;\nthese commands are for people.',
    )
    .option('state-dir', {
      type: 'string',
      default: DEFAULT_STATE_DIR,
      requiresArg: true,
      describe: 'directory of the state of this node',
    })
    .option('run-dir', {
      type: 'string',
      default: DEFAULT_RUN_DIR,
      requiresArg: true,
      describe: 'directory of what need not outlive a reboot',
    })
    .command('version', 'print the version', {}, () =>
      print({ lines: [`manifold ${deps.version}`], exitCode: 0 }),
    )
    .command('status', 'show attachments, interfaces and addresses of this node', {}, (args) =>
      withStore(places(args).stateDir, statusReport),
    )
    .command('check-state', 'check every invariant of the state of this node', checkStateOptions, (args) => {
      const { stateDir, runDir } = places(args);
      withStore(stateDir, (store) =>
        args.removeBroken
          ? removeBroken(store, args.yes === true)
          : checkStateReport(store, runDir, deps.kernel),
      );
    })
    .command('leases', 'show who holds which address in the cluster, why, and release it', (command) =>
      leasesCommands(command, cluster),
    )
    .command('migrate', 'turn what another address manager has given into leases', (command) =>
      migrateCommands(command, cluster),
    )
    .demandCommand(1, 1, 'Say what to do: see the commands above.', 'One command at a time.')
    .strict()
    .version(false)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      // Its own complaints come as errors too, of a class that it does not export.
      throw error === undefined || error.name === 'YError' ? new UsageError(message) : error;
    });
  try {
    await parser.parseAsync([...argv], {}, (_error: unknown, _args: unknown, output: string) => {
      if (output !== '') print({ lines: output.trimEnd().split('\n'), exitCode: 0 });
    });
  } catch (error) {
    exitCode = explain(error, deps);
  }
  return exitCode;
}

const checkStateOptions = (command: Argv) =>
  command
    .option('remove-broken', {
      type: 'boolean',
      describe: 'say which records are broken and what removing them would mean; with --yes, remove them',
    })
    .option('yes', { type: 'boolean', implies: 'remove-broken', describe: 'do it' })
    .example('$0 check-state', 'what is wrong, what is left over')
    .example('$0 check-state --remove-broken', 'what would be removed')
    .example('$0 check-state --remove-broken --yes', 'remove it');

const places = (args: Readonly<Record<string, unknown>>) => ({
  stateDir: oneDirectory('--state-dir', args.stateDir),
  runDir: oneDirectory('--run-dir', args.runDir),
});

function oneDirectory(option: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new UsageError(
    Array.isArray(value) ? `${option} can be given once.` : `${option} needs a directory after it.`,
  );
}

/** Each line of its own; what a name may smuggle in is shown, not done. */
const printed = (lines: readonly string[]): string => lines.map((line) => `${visible(line)}\n`).join('');

const noStore = (stateDir: string): ManifoldError =>
  new ManifoldError('not-found', `There is no store at ${stateDir}.`, {
    hint: 'Nothing has been attached on this node yet, or its stateDir is another one: name it with --state-dir.',
  });

function explain(error: unknown, deps: CliDeps): number {
  if (error instanceof UsageError) {
    deps.stderr(printed([...error.message.split('\n'), 'See "manifold --help".']));
    return 2;
  }
  if (!(error instanceof ManifoldError)) throw error;
  deps.stderr(printed(error.hint === undefined ? [error.message] : [error.message, error.hint]));
  return 1;
}
