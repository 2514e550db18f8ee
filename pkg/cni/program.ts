// A plugin as a program: what it prints, and its exit code. Everything of the process comes through `deps`.
import { answerCall } from './answer.ts';
import type { CallDeps, ReadStdin } from './call.ts';
import { isNested } from './delegates.ts';
import type { Plugin } from './plugin.ts';
import { SUPPORTED_VERSIONS } from './versions.ts';

export interface ProgramDeps extends CallDeps {
  readonly readStdin: ReadStdin;
  /** Must have written all of it when it returns: the process ends next. */
  readonly stdout: (text: string) => void;
}

/**
 * Runs one CNI call.
 * @returns the exit code: 0, or 1 after an error was printed as the specification says
 */
export async function runProgram(plugin: Plugin, deps: ProgramDeps): Promise<number> {
  if (!deps.env.CNI_COMMAND) {
    deps.stderr(`${plugin.name}: ${plugin.summary}\n`);
    deps.stderr(`CNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}\n`);
    return 0;
  }
  const { exitCode, output } = await answerCall(plugin, deps.readStdin, {
    ...deps,
    nested: isNested(deps.env),
  });
  if (output === undefined) return exitCode;
  try {
    deps.stdout(`${JSON.stringify(output)}\n`);
  } catch (error) {
    // Without its answer the runtime must take the call for failed, and there is no other way to tell it.
    deps.stderr(`${plugin.name}: cannot write the answer on standard output: ${String(error)}\n`);
    return 1;
  }
  return exitCode;
}
