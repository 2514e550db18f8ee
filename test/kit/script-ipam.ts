// IPAM plugins that misbehave as a test needs it, as shell scripts; each call is written down with its configuration.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIST_BIN, type TestNode } from './test-node.ts';

export interface ScriptIpam {
  /** The `type` to write into `ipam`. */
  readonly type: string;
  /** For CNI_PATH: the script's directory and that of our executables. */
  readonly path: string;
  /** The verbs of the calls so far. */
  calls(): string[];
}

/** @param add what ADD does: shell, run with the configuration on standard input */
export function scriptIpam(node: TestNode, type: string, add: string): ScriptIpam {
  const directory = join(node.directory, 'script-bin');
  const log = join(node.directory, `${type}.log`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, type);
  const text = `#!/bin/sh
echo "$CNI_COMMAND" >> ${log}
case "$CNI_COMMAND" in
ADD) ${add} ;;
*) cat > /dev/null ;;
esac
`;
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return {
    type,
    path: `${directory}:${DIST_BIN}`,
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}

export const FAILS = `cat > /dev/null; printf '%s' '{"cniVersion":"1.1.0","code":11,"msg":"pool is empty"}'; exit 1`;
export const GIVES_NOTHING = `cat > /dev/null; printf '%s' '{"cniVersion":"1.1.0","ips":[]}'`;

/** Gives these addresses. @param ips JSON of the result's `ips` */
export const gives = (ips: string, routes = '[]') =>
  `cat > /dev/null; printf '%s' '{"cniVersion":"1.1.0","ips":${ips},"routes":${routes}}'`;
