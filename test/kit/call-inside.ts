// One call of a plugin in this process, which may delegate to the others that are here.
import { answerCall } from '../../pkg/cni/answer.ts';
import type { JsonObject, Plugin } from '../../pkg/cni/plugin.ts';

export interface Answered {
  readonly exitCode: number;
  /** What it printed; {} when that was nothing. */
  readonly output: JsonObject;
  /** Message and details of its error. */
  readonly text: string;
}

/** By the `type` of the configuration. @param log is given what it logs */
export async function callInside(
  plugins: ReadonlyMap<string, Plugin>,
  config: JsonObject,
  env: Readonly<Record<string, string>>,
  log: (text: string) => void = () => undefined,
): Promise<Answered> {
  const plugin = plugins.get(String(config.type));
  if (plugin === undefined) throw new Error(`No plugin ${String(config.type)}`);
  const { exitCode, output = {} } = await answerCall(plugin, () => JSON.stringify(config), {
    ...{ env: { CNI_IFNAME: 'net1', CNI_PATH: '/nowhere', ...env }, plugins, stderr: log },
  });
  return { exitCode, output, text: `${output.msg}\n${output.details}` };
}
