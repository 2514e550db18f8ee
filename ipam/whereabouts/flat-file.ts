// The file of defaults that Whereabouts reads beside each configuration, and how the two become one.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import type { JsonObject, JsonValue } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';

const FILE = 'whereabouts.conf';

/** Where it is looked for, after what the configuration names; the first that is there counts. */
export const FLAT_DIRECTORIES: readonly string[] = [
  '/etc/kubernetes/cni/net.d/whereabouts.d',
  '/etc/cni/net.d/whereabouts.d',
  '/host/etc/cni/net.d/whereabouts.d',
];

export interface FlatFile {
  readonly path: string;
  /** Keys of `ipam`. */
  readonly keys: JsonObject;
}

/**
 * @param named `configuration_path` of the configuration: the file itself, or a directory that has it
 * @returns undefined when there is none
 * @throws ManifoldError 'bad-config' when it is no JSON object, 'io' when it cannot be read
 */
export function readFlatFile(named: string, directories: readonly string[]): FlatFile | undefined {
  const own = named === '' ? [] : [kindOf(named) === 'directory' ? join(named, FILE) : named];
  const path = [...own, ...directories.map((directory) => join(directory, FILE))].find(
    (one) => kindOf(one) === 'file',
  );
  return path === undefined ? undefined : { path, keys: parse(path, readText(path)) };
}

/** The content of `<directory>/nodename`, where the installer of Whereabouts writes it. */
export function readNodeName(directory: string): string | undefined {
  const path = join(directory, 'nodename');
  return kindOf(path) === 'file' ? readText(path).trim() || undefined : undefined;
}

export const kindOf = (path: string): 'file' | 'directory' | 'none' => {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'none';
  return found.isDirectory() ? 'directory' : 'file';
};

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new ManifoldError('io', `Cannot read ${path}: ${error.message}`, { cause: error });
  }
}

/** Nothing of the text is shown: `configuration_path` may name any file of the node. */
function parse(path: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (isJsonObject(value)) return value;
  throw new ManifoldError(
    'bad-config',
    `Cannot use the defaults of Whereabouts: the file is no JSON object (${path})`,
    {
      hint: 'It holds the keys of "ipam", for instance {"kubernetes": {"kubeconfig": "/etc/cni/net.d/whereabouts.d/whereabouts.kubeconfig"}}.',
    },
  );
}

/** What only the configuration itself may say. */
const NOT_DEFAULTS: readonly string[] = ['type', 'enable_overlapping_ranges'];

/** The configuration's keys, and the defaults where it says nothing: "", 0, false and [] are nothing. */
export function mergeDefaults(keys: JsonObject, defaults: JsonObject): JsonObject {
  const merged: Record<string, JsonValue | undefined> = { ...keys };
  for (const [key, value] of Object.entries(defaults)) {
    if (NOT_DEFAULTS.includes(key)) continue;
    const own = keys[key];
    if (isJsonObject(own) && isJsonObject(value)) merged[key] = mergeDefaults(own, value);
    else if (isNothing(own)) merged[key] = value;
  }
  return merged;
}

const isNothing = (value: JsonValue | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === 0 ||
  value === false ||
  isEmptyList(value);

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
