// The command line for people. It is bundled apart and loaded only when somebody types a command: yargs is here.
import yargs from 'yargs';
import { DEFAULT_RUN_DIR, DEFAULT_STATE_DIR } from '../../pkg/cni/manifold-options.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { checkStateReport } from './check-state.ts';
import { statusReport } from './status.ts';

export interface CliDeps {
  readonly version: string;
  readonly openStore: (where: { readonly stateDir: string; readonly runDir: string }) => NodeStore;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** What a command prints, and the exit code. */
export interface Report {
  readonly text: string;
  readonly exitCode: number;
}

/**
 * Runs one command: `version`, `status`, `check-state`.
 * @param argv without the program's own name
 * @returns the exit code: 0, 1 when something is wrong with the node, 2 for a command that cannot be understood
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  let exitCode = 0;
  const print = ({ text, exitCode: code }: Report): void => {
    deps.stdout(text.endsWith('\n') ? text : `${text}\n`);
    exitCode = code;
  };
  const withStore = (
    args: { stateDir: string; runDir: string },
    report: (store: NodeStore) => Report,
  ): void => {
    const store = deps.openStore(args);
    try {
      print(report(store));
    } finally {
      store.close();
    }
  };
  const parser = yargs()
    .scriptName('manifold')
    .usage(
      '$0 <command>\n\nManifold attaches pods to several networks. A container runtime calls it as a CNI plugin;\nthese commands are for people.',
    )
    .option('state-dir', {
      type: 'string',
      default: DEFAULT_STATE_DIR,
      describe: 'directory of the state of this node',
    })
    .option('run-dir', {
      type: 'string',
      default: DEFAULT_RUN_DIR,
      describe: 'directory of what need not outlive a reboot',
    })
    .command('version', 'print the version', {}, () =>
      print({ text: `manifold ${deps.version}`, exitCode: 0 }),
    )
    .command('status', 'show attachments, interfaces and addresses of this node', {}, (args) =>
      withStore(storeOptions(args), statusReport),
    )
    .command('check-state', 'check every invariant of the state of this node', {}, (args) =>
      withStore(storeOptions(args), checkStateReport),
    )
    .demandCommand(1, 1, 'Say what to do: see the commands above.', 'One command at a time.')
    .strict()
    .version(false)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    });
  try {
    await parser.parseAsync([...argv], {}, (_error: unknown, _args: unknown, output: string) => {
      if (output !== '') print({ text: output, exitCode: 0 });
    });
  } catch (error) {
    exitCode = explain(error, deps);
  }
  return exitCode;
}

class UsageError extends Error {}

function storeOptions(args: Record<string, unknown>): { stateDir: string; runDir: string } {
  return { stateDir: String(args.stateDir), runDir: String(args.runDir) };
}

function explain(error: unknown, deps: CliDeps): number {
  if (error instanceof UsageError) {
    deps.stderr(`${error.message}\nSee "manifold --help".\n`);
    return 2;
  }
  if (!(error instanceof ManifoldError)) throw error;
  deps.stderr(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
  return 1;
}
