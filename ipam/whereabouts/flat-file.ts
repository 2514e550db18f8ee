// The file of defaults that Whereabouts reads beside each configuration, and how the two become one.
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import type { JsonObject, JsonValue } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { readTrustedFile, TRUSTED_HINT } from '../../pkg/kube/trusted-file.ts';

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
  /** False where only the configuration names it, which a tenant may have written. */
  readonly isNodes: boolean;
}

/**
 * @param named `configuration_path` of the configuration: the file itself, or a directory that has it
 * @returns undefined when there is none
 * @throws ManifoldError 'bad-config' when it is no JSON object, or is not the node's and somebody other than root may
 *   have written it; 'io' when it cannot be read
 */
export function readFlatFile(named: string, directories: readonly string[]): FlatFile | undefined {
  const own = named === '' ? [] : [kindOf(named) === 'directory' ? join(named, FILE) : named];
  const path = [...own, ...directories.map((directory) => join(directory, FILE))].find(
    (one) => kindOf(one) === 'file',
  );
  if (path === undefined) return undefined;
  const isNodes = isOneOf(directories, dirname(path));
  return { path, isNodes, keys: parse(path, isNodes ? readText(path) : trustedText(path)) };
}

/**
 * The content of `<directory>/nodename`, where the installer of Whereabouts writes it.
 * @throws ManifoldError as readFlatFile
 */
export function readNodeName(directory: string, directories: readonly string[]): string | undefined {
  const path = join(directory, 'nodename');
  if (kindOf(path) !== 'file') return undefined;
  const text = isOneOf(directories, directory) ? readText(path) : trustedText(path);
  return text.trim() || undefined;
}

export const isOneOf = (directories: readonly string[], directory: string): boolean =>
  directories.some((one) => resolve(one) === resolve(directory));

export const kindOf = (path: string): 'file' | 'directory' | 'none' => {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'none';
  return found.isDirectory() ? 'directory' : 'file';
};

function trustedText(path: string): string {
  const read = reading(path, readTrustedFile);
  if ('text' in read) return read.text;
  throw new ManifoldError(
    'bad-config',
    `Cannot use what 'ipam.configuration_path' names: ${read.distrusted} (${path})`,
    { hint: `${TRUSTED_HINT} Or leave the key out: ${FLAT_DIRECTORIES[1]} is looked in anyhow.` },
  );
}

const readText = (path: string): string => reading(path, (one) => readFileSync(one, 'utf8'));

function reading<T>(path: string, read: (path: string) => T): T {
  try {
    return read(path);
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
