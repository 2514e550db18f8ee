// The command line for people, in this process, with everything that it says kept apart.
import { runCli } from '../../meta/cli/main.ts';

export interface CliOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param env of the command: nothing of this process's own reaches it */
export async function runCommand(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliOutcome> {
  const said = { stdout: '', stderr: '' };
  const exitCode = await runCli(argv, {
    version: 'test',
    env,
    openStore: () => undefined,
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
  });
  return { exitCode, ...said };
}
