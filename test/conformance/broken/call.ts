// One call of the plugins that are broken on purpose: what came in, and which sin this copy of them commits.
import { env, exit, stderr, stdout } from 'node:process';
import type { JsonObject } from '../json.ts';

export type PluginKind = 'interface' | 'chained' | 'ipam';

export interface Call {
  readonly verb: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifname: string;
  readonly path: string;
  readonly conf: JsonObject;
  readonly cniVersion: string;
  /** True for the one sin of this copy; the honest copy has none. A sin is named after the row that it must fail. */
  readonly sins: (...names: string[]) => boolean;
}

export interface BrokenPlugin {
  add(call: Call): JsonObject;
  del(call: Call): void;
  check(call: Call): void;
  status(call: Call): void;
  gc(call: Call): void;
}

/** Prints an error as the specification wants it, or as the sin does, and ends the process. */
export function refuse(sin: string, code: number, msg: string): never {
  const error = { cniVersion: '1.1.0', code, msg };
  const shapes: Readonly<Record<string, unknown>> = {
    'error.code': { ...error, code: 42 },
    'error.msg': { ...error, msg: '' },
    'error.cniVersion': { code, msg },
  };
  stdout.write(sin === 'error.json' ? `error: ${msg}` : JSON.stringify(shapes[sin] ?? error));
  exit(sin === 'error.exit-code' ? 0 : 1);
}

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;

  constructor(code: number, msg: string) {
    super(msg);
    this.code = code;
  }
}

export function variable(name: string): string {
  return env[name] ?? '';
}

export function note(text: string): void {
  stderr.write(`${text}\n`);
}
