// A network configuration list, read as a runtime must read it (CNI specification 1.1.0, section 1).
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';
import { configError, type Problem, sentence } from './config-error.ts';
import { isErrno } from './errno.ts';
import { faultOfName, faultOfType } from './names.ts';
import { isJsonObject } from './network-config.ts';
import type { JsonObject, JsonValue } from './plugin.ts';
import { type CniVersion, newestOf, SUPPORTED_VERSIONS, UNSTATED_VERSION } from './versions.ts';

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly ListedPlugin[];
  /** The text that the list was read from: libcni's cache keeps it. */
  readonly source: string;
}

export interface ListedPlugin {
  readonly type: string;
  /** As it stands in the list: without name and cniVersion, with `capabilities`. */
  readonly config: JsonObject;
}

/**
 * Reads a configuration list, or a single configuration as a list of one.
 * @param text JSON
 * @param from where the text comes from, for errors: a file, or "networks.yaml, document 2"
 * @param more plugins that stand in files beside the list
 * @throws ManifoldError 'bad-json', 'bad-config' with every problem, 'incompatible-version'
 */
export function parseNetworkList(text: string, from: string, more: readonly JsonObject[] = []): NetworkList {
  const raw = parseObject(text, from);
  const problems: Problem[] = [];
  const problem = (key: string, rule: string, value: unknown) =>
    void problems.push({ key, text: `${sentence(key, rule, value)} (${from})` });
  const flag = (key: string): boolean => {
    const value = raw[key] ?? false;
    if (typeof value === 'boolean') return value;
    // libcni reads these two strings also.
    if (typeof value === 'string' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
    problem(key, 'must be true or false', value);
    return false;
  };

  const name = typeof raw.name === 'string' ? raw.name : '';
  if (faultOfName(name) !== undefined) {
    const rule = 'must begin with a letter or digit and have only letters, digits, "_", "." and "-"';
    problem('name', rule, raw.name);
  }
  const disableCheck = flag('disableCheck');
  const disableGC = flag('disableGC');
  const onlyInlined = flag('loadOnlyInlinedPlugins');
  const single = raw.plugins === undefined && raw.type !== undefined;
  const listed = single ? [raw] : (raw.plugins ?? []);
  const found: JsonValue[] = Array.isArray(listed) ? [...listed] : [];
  if (!Array.isArray(listed)) problem('plugins', 'must be a list', listed);
  else if (found.length === 0 && (onlyInlined || raw.plugins !== undefined || more.length === 0)) {
    problem('plugins', 'must have at least one plugin', raw.plugins);
  }
  if (!onlyInlined) found.push(...more);
  const plugins = found.flatMap((config, index): ListedPlugin[] => {
    const key = single ? '' : `plugins[${index}].`;
    if (!isJsonObject(config)) {
      problem(`plugins[${index}]`, 'must be an object', config);
      return [];
    }
    const { type, capabilities } = config;
    const fault = typeof type === 'string' ? faultOfType(type) : 'it must be the name of a plugin';
    if (fault !== undefined) problem(`${key}type`, fault.replace(/^it /, ''), type);
    if (!areCapabilities(capabilities)) {
      problem(`${key}capabilities`, 'must be an object of true and false', capabilities);
    }
    return typeof type === 'string' ? [{ type, config }] : [];
  });
  if (problems.length > 0) throw configError(problems);
  return { name, cniVersion: versionOf(raw, from), disableCheck, disableGC, plugins, source: text };
}

/**
 * Reads a list from a file, with the plugins of <directory of the file>/<name of the network>/*.conf behind its own.
 * @throws ManifoldError as parseNetworkList, and 'io' when a file cannot be read
 */
export function readNetworkListFile(file: string): NetworkList {
  const text = readText(file);
  const { name } = parseObject(text, file);
  if (typeof name !== 'string' || faultOfName(name) !== undefined) return parseNetworkList(text, file);
  const directory = join(dirname(file), name);
  const more = filesIn(directory)
    .filter((one) => extname(one) === '.conf')
    .sort()
    .map((one) => parseObject(readText(join(directory, one)), join(directory, one)));
  return parseNetworkList(text, file, more);
}

function parseObject(text: string, from: string): JsonObject {
  const fail = (reason: string) =>
    new ManifoldError('bad-json', `Cannot read network configuration ${from}: ${reason}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw fail(error.message);
    throw error;
  }
  if (!isJsonObject(value)) throw fail('it is no JSON object');
  return value;
}

function areCapabilities(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null) return true;
  return isJsonObject(value) && Object.values(value).every((one) => typeof one === 'boolean');
}

function versionOf(raw: JsonObject, from: string): CniVersion {
  const { cniVersion, cniVersions } = raw;
  const stated = cniVersion === undefined || cniVersion === '' ? [] : [cniVersion];
  const all: readonly JsonValue[] = Array.isArray(cniVersions) ? [...cniVersions, ...stated] : stated;
  if (all.length === 0) return UNSTATED_VERSION;
  const best = newestOf(all.filter((one) => typeof one === 'string'));
  if (best !== undefined) return best;
  throw new ManifoldError(
    'incompatible-version',
    `${sentence('cniVersion', 'must be a version that we speak', all.length === 1 ? all[0] : all)} (${from})`,
    { hint: `supported versions: ${SUPPORTED_VERSIONS.join(', ')}` },
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ManifoldError('io', `Cannot read network configuration ${file}: ${reason}`, { cause: error });
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    const reason = error instanceof Error ? error.message : String(error);
    throw new ManifoldError('io', `Cannot read directory ${directory}: ${reason}`, { cause: error });
  }
}
