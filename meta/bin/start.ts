// From a process to one CNI call of one of our plugins, and out again.

import { statSync } from 'node:fs';
import { argv, env, execPath, exit } from 'node:process';
import { isSea } from 'node:sea';
import type { Plugin } from '../../pkg/cni/plugin.ts';
import { runProgram } from '../../pkg/cni/program.ts';
import { readStdin, writeAll } from '../../pkg/cni/stdio.ts';
import { guardExec } from '../../pkg/kernel/exec-guard.ts';
import { createLogger } from '../../pkg/log/logger.ts';
import { createProgramDeps, type ProgramDeps } from './program-deps.ts';

/** Makes the plugins that run in this process: the one that is called and those that it may delegate to. */
export type CreatePlugins = (deps: ProgramDeps) => readonly Plugin[];

/**
 * Runs the plugin of that name and ends the process.
 * @param step called at each boundary between two effects; the crash tests die there
 */
export async function start(
  name: string,
  create: CreatePlugins,
  step?: (name: string) => void,
): Promise<void> {
  const stderr = (text: string) => writeAll(2, text);
  const deps = createProgramDeps(createLogger({ level: 'warn', sink: stderr }), step);
  const plugins = new Map(create(deps).map((plugin) => [plugin.name, plugin]));
  const plugin = plugins.get(name);
  if (plugin === undefined) {
    stderr(`Cannot run as ${name}: this file serves ${[...plugins.keys()].join(', ')}\n`);
    exit(1);
  }
  const code = await runProgram(plugin, {
    env,
    plugins,
    stderr,
    stdout: (text) => writeAll(1, text),
    readStdin,
    isOwnNetns: (path) => isOwnNetns(deps, path),
    isOwnFile,
    guardExec,
  });
  exit(code);
}

/** The file that this process runs. */
export const ownFile = (): string => (isSea() ? execPath : (argv[1] ?? execPath));

function isOwnFile(path: string): boolean {
  const [one, other] = [path, ownFile()].map((file) => statSync(file, { throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

function isOwnNetns({ kernel }: ProgramDeps, path: string): boolean {
  const opened = kernel.openIfThere(path);
  if (opened === undefined) return false;
  opened.close();
  return opened.id === kernel.host().id;
}
