// The single executable: Node itself with a start-up snapshot of the programs inside, by Node's own --build-sea,
// then made independent of the host's libraries.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLI, PROGRAMS } from './bundle.ts';
import { carryLibraries } from './loader.ts';
import { START_CODE } from './start-code.ts';
import { stripUnmapped } from './strip.ts';
import type { Target } from './target.ts';

/** Passed to Node and V8 at every start. docs/decisions/start-of-the-executable.md says what each is worth. */
const EXEC_ARGV = [
  '--disable-warning=ExperimentalWarning',
  '--no-rehash-snapshot',
  '--jitless',
  // Without it node:tls reads about 120 public authorities in a thread as soon as it is loaded: 10 ms of CPU.
  '--use-openssl-ca',
];

/**
 * Built-in modules that the snapshot holds loaded, of those that Node allows there. The API client needs them, and
 * --jitless makes Node compile them from their sources at run time (8 ms of CPU).
 */
const LOADED = ['crypto', 'net'];

/**
 * Compiles every function of the bundle before the snapshot is taken, which keeps the bytecode: V8 compiles a
 * function at its first call otherwise, in each process anew.
 */
function compiledAhead(code: string): string {
  const body = JSON.stringify(`${code}\n//# sourceURL=manifold.cjs`);
  return `${LOADED.map((name) => `require('node:${name}');\n`).join('')}const v8 = require('node:v8');
v8.setFlagsFromString('--no-lazy');
const load = new Function('require', ${body});
v8.setFlagsFromString('--lazy');
load(require);
`;
}

export interface ExecutableFiles {
  readonly bundle: string;
  /** The command line for people: carried as an asset, read only when somebody types a command. */
  readonly cli: string;
  readonly output: string;
}

export function buildExecutable(target: Target, { bundle, cli, output }: ExecutableFiles): void {
  const config = `${output}.json`;
  const main = `${output}.cjs`;
  writeFileSync(main, compiledAhead(readFileSync(bundle, 'utf8')));
  const sea = {
    main,
    output,
    useSnapshot: true,
    disableExperimentalSEAWarning: true,
    execArgv: EXEC_ARGV,
    // NODE_OPTIONS is meant for others: a runtime's environment must not change what a plugin does.
    execArgvExtension: 'none',
    assets: { [`${CLI}.cjs`]: cli },
  };
  writeFileSync(config, JSON.stringify(sea));
  const { command, before } = target.node;
  execFileSync(command, [...before, '--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  rmSync(config);
  rmSync(main);
  const whole = carryLibraries({
    executable: stripUnmapped(readFileSync(output), target.page),
    start: Buffer.from(START_CODE[target.arch], 'base64'),
    page: target.page,
    loader: readFileSync(target.loader),
    libraries: target.libraries.map((file) => readFileSync(file)),
  });
  writeFileSync(output, whole, { mode: 0o755 });
}

/** Puts the executable in place under the name of every program: hard links of one file, each renamed over. */
export function installExecutable(executable: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const name of PROGRAMS) {
    const fresh = join(directory, `.${name}.new`);
    rmSync(fresh, { force: true });
    linkSync(executable, fresh);
    // A program that runs keeps its old file: nothing is "text file busy".
    renameSync(fresh, join(directory, name));
  }
}
