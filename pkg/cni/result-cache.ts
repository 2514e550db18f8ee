// libcni's cache of results, in libcni's own format and place, so that a node can go back to other tools.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManifoldError } from '../errors/manifold-error.ts';
import { isErrno } from './errno.ts';
import { faultOfIfname, faultOfName } from './names.ts';
import { isJsonObject, versionOf } from './network-config.ts';
import type { JsonObject, JsonValue } from './plugin.ts';
import { readResult } from './read-result.ts';
import type { CniResult } from './result.ts';
import { type CniVersion, UNSTATED_VERSION } from './versions.ts';
import { writeResult } from './write-result.ts';

const KIND = 'cniCacheV1';

/** One attachment of one network: the name of its file. */
export interface CacheKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export interface CachedAttachment extends CacheKey {
  readonly netns: string | undefined;
  /** Text of the configuration list, as the runtime had it. */
  readonly config: string;
  readonly args: Readonly<Record<string, string>>;
  readonly capabilityArgs: JsonObject;
  readonly cniVersion: CniVersion;
  readonly result: CniResult;
}

/**
 * Writes <directory>/results/<network>-<container>-<interface>, whole or not at all. Not synced to the disk: after a
 * power failure every sandbox is gone.
 * @throws ManifoldError 'io'
 */
export function writeCachedResult(directory: string, entry: CachedAttachment): void {
  const file = fileOf(directory, entry);
  const { netns, args, capabilityArgs } = entry;
  const pairs = Object.entries(args);
  const text = JSON.stringify({
    kind: KIND,
    containerId: entry.containerId,
    config: Buffer.from(entry.config).toString('base64'),
    ifName: entry.ifname,
    networkName: entry.network,
    ...(netns === undefined || netns === '' ? {} : { netns }),
    ...(pairs.length > 0 ? { cniArgs: pairs } : {}),
    ...(Object.keys(capabilityArgs).length > 0 ? { capabilityArgs } : {}),
    result: writeResult(entry.result, entry.cniVersion),
  });
  const draft = draftOf(directory, entry);
  try {
    mkdirSync(join(directory, 'results'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw ioError('write', file, error);
  }
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw ioError('write', file, error);
  }
}

/**
 * Reads an entry; undefined when there is none.
 * @throws ManifoldError 'io' when the file is damaged or is no cache entry
 */
export function readCachedResult(directory: string, key: CacheKey): CachedAttachment | undefined {
  const file = fileOf(directory, key);
  const found = readEntry(file);
  // Names may have "-" in them, so that two keys can meet in one file name.
  const same =
    found?.network === key.network && found.containerId === key.containerId && found.ifname === key.ifname;
  return same ? found : undefined;
}

/** Every entry that can be read, in the order of the file names; `warn` is told of the others. */
export function listCachedResults(directory: string, warn: (reason: string) => void): CachedAttachment[] {
  let names: string[];
  try {
    names = readdirSync(join(directory, 'results')).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw ioError('read', join(directory, 'results'), error);
  }
  return names.flatMap((name) => {
    try {
      const found = readEntry(join(directory, 'results', name));
      return found === undefined ? [] : [found];
    } catch (error) {
      if (!(error instanceof ManifoldError)) throw error;
      warn(error.message);
      return [];
    }
  });
}

/** A missing entry is no error. @throws ManifoldError 'io' */
export function deleteCachedResult(directory: string, key: CacheKey): void {
  const file = fileOf(directory, key);
  try {
    rmSync(file, { force: true });
    rmSync(draftOf(directory, key), { force: true });
  } catch (error) {
    throw ioError('delete', file, error);
  }
}

function fileOf(directory: string, { network, containerId, ifname }: CacheKey): string {
  const fault = faultOfName(network) ?? faultOfName(containerId) ?? faultOfIfname(ifname);
  const name = `${network}-${containerId}-${ifname}`;
  if (fault === undefined) return join(directory, 'results', name);
  throw new ManifoldError('io', `Cannot name a cache entry: ${fault} (${JSON.stringify(name)})`);
}

/**
 * Not in results/: libcni takes every file there for an attachment. Always the same for an attachment, so that what a
 * killed process has left is written over, or deleted with the entry.
 */
const draftOf = (directory: string, { containerId, ifname }: CacheKey): string =>
  join(directory, `.draft-${containerId}-${ifname}`);

function readEntry(file: string): CachedAttachment | undefined {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw ioError('read', file, error);
  }
  const entry = isJsonObject(value) && value.kind === KIND ? attachmentOf(value) : undefined;
  if (entry === undefined) throw ioError('read', file, `it is no entry of kind ${KIND}`);
  return entry;
}

function attachmentOf(value: JsonObject): CachedAttachment | undefined {
  const { networkName, containerId, ifName, netns, config, cniArgs, capabilityArgs, result } = value;
  if (typeof networkName !== 'string' || typeof containerId !== 'string' || typeof ifName !== 'string')
    return undefined;
  const cniVersion = (isJsonObject(result) ? versionOf(result) : undefined) ?? UNSTATED_VERSION;
  return {
    network: networkName,
    containerId,
    ifname: ifName,
    netns: typeof netns === 'string' ? netns : undefined,
    config: typeof config === 'string' ? Buffer.from(config, 'base64').toString() : '',
    args: Object.fromEntries(pairsOf(cniArgs)),
    capabilityArgs: isJsonObject(capabilityArgs) ? capabilityArgs : {},
    cniVersion,
    result: readResult(result ?? {}, cniVersion, 'result'),
  };
}

function pairsOf(value: JsonValue | undefined): [string, string][] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((pair: JsonValue): [string, string][] => {
    const [key, text] = Array.isArray(pair) ? pair : [];
    return typeof key === 'string' && typeof text === 'string' ? [[key, text]] : [];
  });
}

function ioError(verb: string, file: string, error: unknown): ManifoldError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ManifoldError('io', `Cannot ${verb} cached result ${file}: ${reason}`, { cause: error });
}
