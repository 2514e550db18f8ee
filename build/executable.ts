// The single executable: Node itself with a start-up snapshot of the programs inside, by Node's own --build-sea.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLI, PROGRAMS } from './bundle.ts';

/** How to run the Node whose architecture the executable gets: the command and what stands before its arguments. */
export interface NodeCommand {
  readonly command: string;
  readonly before: readonly string[];
}

/** What the executable passes to Node and V8 at every start. docs/performance.md says what each one is worth. */
const EXEC_ARGV = ['--disable-warning=ExperimentalWarning'];

/**
 * Makes one executable of a snapshot bundle.
 * @param files the bundle, the command line's bundle (an asset), and where to write
 */
export function buildExecutable(
  node: NodeCommand,
  files: { readonly bundle: string; readonly cli: string; readonly output: string },
): void {
  const config = `${files.output}.json`;
  const sea = {
    main: files.bundle,
    output: files.output,
    useSnapshot: true,
    disableExperimentalSEAWarning: true,
    execArgv: EXEC_ARGV,
    assets: { [`${CLI}.cjs`]: files.cli },
  };
  writeFileSync(config, JSON.stringify(sea));
  execFileSync(node.command, [...node.before, '--build-sea', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(config);
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
