// One call of a plugin value as if it were a program, without a process.
import type { CallDeps } from '../../pkg/cni/call.ts';
import type { JsonObject, Plugin } from '../../pkg/cni/plugin.ts';
import { runProgram } from '../../pkg/cni/program.ts';

export interface Printed {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON; undefined when it is empty. */
  readonly output: JsonObject | undefined;
}

export const ATTACHMENT_ENV = {
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/none',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/nowhere/bin',
} as const;

/** `config` is printed as JSON, unless it is text already. */
export async function callPlugin(
  plugin: Plugin,
  env: CallDeps['env'],
  config: JsonObject | string,
  deps: Partial<CallDeps> = {},
): Promise<Printed> {
  let stdout = '';
  let stderr = '';
  const exitCode = await runProgram(plugin, {
    plugins: new Map(),
    ...deps,
    env,
    readStdin: () => (typeof config === 'string' ? config : JSON.stringify(config)),
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  return { exitCode, stdout, stderr, output: stdout === '' ? undefined : (JSON.parse(stdout) as JsonObject) };
}
