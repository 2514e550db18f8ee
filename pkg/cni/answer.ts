// One call of a plugin, from environment and standard input to what is printed. It never throws, and prints nothing:
// the same function answers for a program (program.ts) and for a delegate in this process (delegates.ts).
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Answer, CallDeps, ReadStdin } from './call.ts';
import { openLog } from './call-log.ts';
import { createDelegates } from './delegates.ts';
import { type CniParameters, readEnvironment } from './environment.ts';
import { toCniError } from './error-codes.ts';
import { findMisspelt } from './misspelt.ts';
import {
  parseInput,
  requireName,
  requireVersion,
  validAttachments,
  versionAnswer,
  versionOf,
} from './network-config.ts';
import { parseConfig, parseConfigForDel } from './parse-config.ts';
import type { AttachmentCall, Call, Plugin } from './plugin.ts';
import { readResult } from './read-result.ts';
import type { CniResult } from './result.ts';
import { type CniVersion, NEWEST_VERSION } from './versions.ts';
import { writeResult } from './write-result.ts';

export async function answerCall(plugin: Plugin, readStdin: ReadStdin, deps: CallDeps): Promise<Answer> {
  let version: CniVersion = NEWEST_VERSION;
  let log = openLog({ logLevel: 'info', logFile: undefined }, deps.stderr);
  try {
    const parameters = readEnvironment(deps.env);
    if (parameters.verb === 'VERSION') return { exitCode: 0, output: versionAnswer(readStdin(false)) };
    const given = parseInput(readStdin(true));
    version = versionOf(given) ?? version;
    const network = requireName(given);
    requireVersion(given, parameters.verb);
    const { config: raw, remarks } = plugin.complete?.(given, {
      env: deps.env,
      forDel: parameters.verb === 'DEL',
    }) ?? { config: given, remarks: [] };
    let refusal: string | undefined;
    const { config, options } =
      parameters.verb === 'DEL'
        ? parseConfigForDel(plugin, raw, (reason) => {
            refusal = reason;
          })
        : parseConfig(plugin, raw);
    log = openLog(options, deps.stderr).with({ plugin: plugin.name, verb: parameters.verb, network });
    if (refusal !== undefined)
      log.warn('configuration is wrong: DEL goes by what ADD wrote down', { reason: refusal });
    for (const { event, fields } of remarks) log.info(event, fields);
    for (const { key, meant } of findMisspelt(plugin.config, raw)) log.warn('unknown key', { key, meant });
    refuseOwnNetns(parameters, deps);
    const { verb, path } = parameters;
    const delegates = createDelegates({ ...parameters, runDir: options.runDir, log }, deps, answerCall);
    const call: Call<unknown> = { network, cniVersion: version, config, raw, path, log, delegates };
    const result = await runVerb(plugin, parameters, call, version);
    log.debug('done');
    return { exitCode: 0, output: verb === 'ADD' ? writeResult(result ?? {}, version) : undefined };
  } catch (failure) {
    const error = toCniError(failure);
    log.error('failed', { ...error });
    if (failure instanceof Error) log.debug('stack', { stack: failure.stack });
    return { exitCode: 1, output: { cniVersion: version, ...error } };
  }
}

async function runVerb(
  plugin: Plugin,
  parameters: CniParameters,
  call: Call<unknown>,
  version: CniVersion,
): Promise<CniResult | undefined> {
  const { containerId, ifname, netns, args, verb } = parameters;
  const attachment = { ...call, containerId, ifname, args };
  switch (verb) {
    case 'ADD':
      return plugin.add({ ...attachment, ...prevResultOf(call, version), netns });
    case 'CHECK': {
      const { prevResult } = prevResultOf(call, version);
      if (prevResult !== undefined) {
        await plugin.check({ ...attachment, netns, prevResult });
        return undefined;
      }
      throw new ManifoldError(
        'bad-config',
        "Cannot use 'prevResult' as it must be set for CHECK: it is missing",
        {
          hint: 'the runtime must give the result of ADD, as the CNI specification says in section "CHECK"',
        },
      );
    }
    case 'DEL':
      await plugin.del({
        ...attachment,
        ...prevResultForDel(call, version),
        netns: netns === '' ? undefined : netns,
      });
      return undefined;
    case 'GC':
      await plugin.gc({ ...call, valid: validOf(call) });
      return undefined;
    case 'STATUS':
      await plugin.status(call);
      return undefined;
    case 'VERSION':
      return undefined;
  }
  return verb satisfies never;
}

type PrevResult = Pick<AttachmentCall<unknown>, 'prevResult'>;

function prevResultOf({ raw }: Call<unknown>, version: CniVersion): PrevResult {
  if (raw.prevResult === undefined || raw.prevResult === null) return {};
  return { prevResult: readResult(raw.prevResult, version, 'prevResult') };
}

/** DEL must free what it can: a prevResult that cannot be read is none. */
function prevResultForDel(call: Call<unknown>, version: CniVersion): PrevResult {
  try {
    return prevResultOf(call, version);
  } catch (error) {
    if (!(error instanceof ManifoldError) || error.code !== 'bad-config') throw error;
    call.log.warn('prevResult ignored', { reason: error.message });
    return {};
  }
}

function validOf({ raw, log }: Call<unknown>) {
  const valid = validAttachments(raw);
  if (valid === undefined) log.warn('GC without a list of valid attachments: all are freed');
  return valid ?? [];
}

/** As libcni's skel, but before anything is changed. */
function refuseOwnNetns({ netns, netnsOverride, verb }: CniParameters, deps: CallDeps): void {
  if (verb !== 'ADD' && verb !== 'CHECK' && verb !== 'DEL') return;
  if (netns === '' || netnsOverride || deps.isOwnNetns?.(netns) !== true) return;
  throw new ManifoldError(
    'bad-netns',
    `Cannot run ${verb}: CNI_NETNS is the namespace that the plugin itself runs in (${netns})`,
    { hint: "give the container's namespace, or set CNI_NETNS_OVERRIDE=1 if the host's is meant" },
  );
}
