// Calls other plugins: our own types in this process, all others by exec. Both come to the same Answer, so that
// results and errors cannot differ.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Logger } from '../log/logger.ts';
import type { AnswerCall, CallDeps } from './call.ts';
import { answerOf, type DelegateCall, resultOf } from './delegate-answer.ts';
import { type CniParameters, type Environment, formatArgs } from './environment.ts';
import { type ExecOutcome, type ExecRequest, execPlugin, findPlugin } from './exec-plugin.ts';
import { faultOfName, faultOfType } from './names.ts';
import { versionOf } from './network-config.ts';
import type { DelegateOptions, Delegates, JsonObject, Plugin, Verb } from './plugin.ts';
import type { CniResult } from './result.ts';
import { UNSTATED_VERSION } from './versions.ts';

// Plugins that name each other, or themselves, would start processes without end. The count goes with the
// environment, so that it also holds through plugins that are not ours.
const DEPTH = 'MANIFOLD_DELEGATE_DEPTH';
const MAX_DEPTH = 8;
const DEFAULT_TIMEOUT_MS = 120_000;

/** The caller's own parameters: what a delegate is given where the call does not say otherwise. */
export interface DelegateParent
  extends Pick<CniParameters, 'containerId' | 'ifname' | 'netns' | 'args' | 'path'> {
  /** Where the locks of containers lie. */
  readonly runDir: string;
  readonly log: Logger;
}

/** True for the environment of a process that one of ours has exec'ed, itself or through a plugin that is not ours. */
export const isNested = (env: Environment): boolean => depthOf(env) > 0;

const depthOf = (env: Environment): number => Number.parseInt(env[DEPTH] ?? '', 10) || 0;

/** @param answerCall answers for our own types: that of answer.ts */
export function createDelegates(parent: DelegateParent, deps: CallDeps, answerCall: AnswerCall): Delegates {
  const call = (
    verb: Verb,
    type: string,
    config: JsonObject,
    options: DelegateOptions = {},
  ): Promise<CniResult> => callDelegate({ verb, type, config, options }, parent, deps, answerCall);
  return {
    add: (type, config, options) => call('ADD', type, config, options),
    del: async (type, config, options) => void (await call('DEL', type, config, options)),
    check: async (type, config, options) => void (await call('CHECK', type, config, options)),
    status: async (type, config, options) => void (await call('STATUS', type, config, options)),
    gc: async (type, config, options) => void (await call('GC', type, config, options)),
  };
}

interface DelegateRequest {
  readonly verb: Verb;
  readonly type: string;
  readonly config: JsonObject;
  readonly options: DelegateOptions;
}

async function callDelegate(
  request: DelegateRequest,
  parent: DelegateParent,
  deps: CallDeps,
  answerCall: AnswerCall,
): Promise<CniResult> {
  const { verb, type, config, options } = request;
  const fault = faultOfType(type);
  if (fault !== undefined) {
    const shown = JSON.stringify(type.slice(0, 80));
    throw new ManifoldError('bad-config', `Cannot use 'type' as ${fault}: current value is ${shown}`);
  }
  const depth = depthOf(deps.env) + 1;
  if (depth > MAX_DEPTH) {
    throw new ManifoldError(
      'bad-config',
      `Cannot call plugin '${type}': plugins call each other in a circle`,
      {
        hint: `${MAX_DEPTH} calls stand one in another: look for a network whose delegate is the caller itself`,
      },
    );
  }
  const about: DelegateCall = { verb, type, cniVersion: versionOf(config) ?? UNSTATED_VERSION };
  const path = options.path ?? parent.path;
  const env: Environment = {
    ...withoutCni(deps.env),
    ...environmentOf(request, parent, path),
    [DEPTH]: String(depth),
  };
  const stdin = JSON.stringify(config);
  const own = ownPlugin(type, path, deps);
  if (own !== undefined) return resultOf(about, await answerCall(own, () => stdin, { ...deps, env }));
  const timeoutMs = deps.delegateTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const file = findPlugin(type, path);
  const outcome = await execGuarded(file, { env, stdin, timeoutMs }, parent, deps);
  if (outcome.stderr !== '') deps.stderr(outcome.stderr);
  return resultOf(about, answerOf(about, outcome));
}

/** A drop-in for another project's plugin is only what is meant where the file that would be exec'ed is ours. */
function ownPlugin(type: string, path: readonly string[], deps: CallDeps): Plugin | undefined {
  const plugin = deps.plugins.get(type);
  if (plugin?.dropIn !== true) return plugin;
  return deps.isOwnFile?.(findPlugin(type, path)) === true ? plugin : undefined;
}

async function execGuarded(
  file: string,
  request: ExecRequest,
  { runDir, log }: DelegateParent,
  { nested = false, guardExec }: CallDeps,
): Promise<ExecOutcome> {
  const { CNI_CONTAINERID: containerId } = request.env;
  // STATUS and GC name no container. The ID becomes the name of a file.
  const lockable = !nested && containerId !== undefined && faultOfName(containerId) === undefined;
  const guard = lockable ? await guardExec?.(runDir, containerId, log) : undefined;
  if (guard === undefined) return execPlugin(file, { ...request, nested });
  try {
    return await execPlugin(file, { ...request, guard });
  } finally {
    guard.release();
  }
}

/** STATUS and GC are about the network, not about an attachment: no container is named. */
function environmentOf(
  { verb, options }: DelegateRequest,
  parent: DelegateParent,
  path: readonly string[],
): Environment {
  const common = { CNI_COMMAND: verb, CNI_PATH: path.join(':') };
  if (verb === 'STATUS' || verb === 'GC') return common;
  const netns = 'netns' in options ? options.netns : parent.netns;
  return {
    ...common,
    CNI_CONTAINERID: options.containerId ?? parent.containerId,
    CNI_IFNAME: options.ifname ?? parent.ifname,
    CNI_NETNS: netns ?? '',
    CNI_ARGS: formatArgs(options.args ?? parent.args),
  };
}

function withoutCni(env: Environment): Environment {
  const kept = Object.entries(env).filter(
    ([name]) => !name.startsWith('CNI_') || name === 'CNI_NETNS_OVERRIDE',
  );
  return Object.fromEntries(kept);
}
