// The CNI_* variables: which verb needs which, and what each must look like (CNI specification 1.1.0, "Parameters").
import { resolve } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';
import { faultOfIfname, faultOfName } from './names.ts';
import type { Verb } from './plugin.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CniParameters {
  readonly verb: Verb;
  readonly containerId: string;
  readonly ifname: string;
  /** Empty when the runtime gives none, as DEL may. */
  readonly netns: string;
  readonly args: Readonly<Record<string, string>>;
  /** CNI_PATH, split; absolute directories. */
  readonly path: readonly string[];
  /** CNI_NETNS_OVERRIDE: the plugin's own namespace is accepted as CNI_NETNS. */
  readonly netnsOverride: boolean;
}

interface Variable {
  readonly name: string;
  readonly requiredBy: readonly Verb[];
  /** Verbs that read it though they can do without. */
  readonly usedBy?: readonly Verb[];
  /** What is wrong with the value, as the end of a sentence. */
  readonly check?: (value: string) => string | undefined;
}

const VERBS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] satisfies Verb[];

// As libcni's skel has it: DEL works without a namespace, STATUS without a path to search.
const VARIABLES: readonly Variable[] = [
  { name: 'CNI_CONTAINERID', requiredBy: ['ADD', 'CHECK', 'DEL'], check: faultOfName },
  { name: 'CNI_NETNS', requiredBy: ['ADD', 'CHECK'] },
  { name: 'CNI_IFNAME', requiredBy: ['ADD', 'CHECK', 'DEL'], check: faultOfIfname },
  { name: 'CNI_ARGS', requiredBy: [], usedBy: ['ADD', 'CHECK', 'DEL'], check: faultOfArgs },
  { name: 'CNI_PATH', requiredBy: ['ADD', 'CHECK', 'DEL', 'GC'] },
];

/**
 * Reads the verb's variables. An empty variable is a missing one; one that the verb does not use is not looked at.
 * @throws ManifoldError 'bad-environment' that names all missing variables at once, or each malformed one
 */
export function readEnvironment(env: Environment): CniParameters {
  const verb = readVerb(env);
  const missing = VARIABLES.filter((one) => one.requiredBy.includes(verb) && !env[one.name]);
  if (missing.length > 0) {
    const names = missing.map((one) => one.name).join(', ');
    throw new ManifoldError(
      'bad-environment',
      `Cannot run ${verb}: required variables are not set (${names})`,
      {
        hint: 'a container runtime sets these; by hand, set them as the CNI specification says, section "Parameters"',
      },
    );
  }
  const faults = VARIABLES.flatMap((one) => faultOf(one, verb, env[one.name]));
  if (faults[0] !== undefined) {
    const rest = faults.slice(1);
    throw new ManifoldError('bad-environment', faults[0], rest.length === 0 ? {} : { hint: rest.join('; ') });
  }
  return {
    verb,
    containerId: env.CNI_CONTAINERID ?? '',
    ifname: env.CNI_IFNAME ?? '',
    netns: env.CNI_NETNS ?? '',
    args: parseArgs(env.CNI_ARGS ?? ''),
    path: splitPath(env.CNI_PATH ?? ''),
    netnsOverride: /^(1|true)$/i.test(env.CNI_NETNS_OVERRIDE ?? ''),
  };
}

function readVerb(env: Environment): Verb {
  const command = env.CNI_COMMAND ?? '';
  if (isVerb(command)) return command;
  throw new ManifoldError(
    'bad-environment',
    `Cannot run CNI_COMMAND: it is no verb of CNI (${quote(command)})`,
    {
      hint: `use one of ${VERBS.join(', ')}`,
    },
  );
}

function isVerb(command: string): command is Verb {
  return VERBS.includes(command);
}

function faultOf(variable: Variable, verb: Verb, value: string | undefined): string[] {
  const used = variable.requiredBy.includes(verb) || variable.usedBy?.includes(verb) === true;
  const fault = used && value ? variable.check?.(value) : undefined;
  return fault === undefined ? [] : [`Cannot use ${variable.name}: ${fault} (${quote(value ?? '')})`];
}

function faultOfArgs(value: string): string | undefined {
  const bad = pairsOf(value).find((pair) => pair.indexOf('=') < 1);
  return bad === undefined ? undefined : `each pair must have the form KEY=VALUE, and one is ${quote(bad)}`;
}

function parseArgs(text: string): Readonly<Record<string, string>> {
  const pairs = pairsOf(text).map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

function pairsOf(text: string): string[] {
  return text.split(';').filter((pair) => pair !== '');
}

/** CNI_ARGS in the form that a plugin reads. */
export function formatArgs(args: Readonly<Record<string, string>>): string {
  return Object.entries(args)
    .map(([key, value]) => `${key}=${value}`)
    .join(';');
}

/** A relative directory is taken from the working directory, as libcni does. */
function splitPath(text: string): string[] {
  return text
    .split(':')
    .filter((directory) => directory !== '')
    .map((directory) => resolve(directory));
}

function quote(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
