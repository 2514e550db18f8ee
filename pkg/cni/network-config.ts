// What the specification itself asks of standard input, whatever the plugin: JSON, name, version, prevResult, attachments.
import { ManifoldError } from '../errors/manifold-error.ts';
import { configError, type Problem, sentence } from './config-error.ts';
import { faultOfName } from './names.ts';
import type { AttachmentId, JsonObject, JsonValue, Verb } from './plugin.ts';
import {
  type CniVersion,
  isAtLeast,
  isSupported,
  newestOf,
  SUPPORTED_VERSIONS,
  UNSTATED_VERSION,
} from './versions.ts';

/** Far above any real configuration, below what would hurt: the valid attachments of GC are the longest input. */
export const MAX_INPUT_LENGTH = 16 * 1024 * 1024;
const MAX_DEPTH = 100;

const OLDEST_FOR: Readonly<Partial<Record<Verb, CniVersion>>> = {
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

/**
 * Parses the configuration on standard input.
 * @throws ManifoldError 'bad-json' with the place, also when it is no object
 */
export function parseInput(text: string): JsonObject {
  const fail = (reason: string, cause?: unknown) =>
    new ManifoldError('bad-json', `Cannot read the network configuration on stdin: ${reason}`, {
      hint: 'standard input must be one JSON object: the network configuration',
      ...(cause === undefined ? {} : { cause }),
    });
  if (text.trim() === '') throw fail('it is empty');
  if (text.length > MAX_INPUT_LENGTH) throw fail(`it is longer than ${MAX_INPUT_LENGTH} characters`);
  if (depthOf(text) > MAX_DEPTH) throw fail(`it is nested more than ${MAX_DEPTH} levels deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw fail(error.message, error);
    throw error;
  }
  if (!isJsonObject(value)) throw fail('it is no object');
  return value;
}

/** Only for what JSON.parse gave: an object there has nothing but JSON in it. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON.stringify overflows the stack on what JSON.parse takes; brackets in strings count less than they seem to. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '\\' && quoted) at++;
    else if (char === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

/** The version that a configuration speaks; undefined when it is none of ours. */
export function versionOf(raw: JsonObject): CniVersion | undefined {
  const { cniVersion } = raw;
  if (cniVersion === undefined || cniVersion === '') return UNSTATED_VERSION;
  return typeof cniVersion === 'string' && isSupported(cniVersion) ? cniVersion : undefined;
}

/**
 * The version of a call.
 * @throws ManifoldError 'incompatible-version' when we or the verb do not have it, 'bad-json' when it is no string
 */
export function requireVersion(raw: JsonObject, verb: Verb): CniVersion {
  const { cniVersion } = raw;
  if (cniVersion !== undefined && typeof cniVersion !== 'string') {
    throw new ManifoldError('bad-json', sentence('cniVersion', 'must be a string', cniVersion));
  }
  const version = versionOf(raw);
  if (version === undefined) {
    const rule = 'must be a version that this plugin speaks';
    throw new ManifoldError('incompatible-version', sentence('cniVersion', rule, cniVersion), {
      hint: `supported versions: ${SUPPORTED_VERSIONS.join(', ')}`,
    });
  }
  const oldest = OLDEST_FOR[verb];
  if (oldest !== undefined && !isAtLeast(version, oldest)) {
    throw new ManifoldError(
      'incompatible-version',
      sentence('cniVersion', `must be ${oldest} or newer for ${verb}`, version),
      { hint: `${verb} came into the CNI specification with version ${oldest}` },
    );
  }
  return version;
}

/** The name of the network. @throws ManifoldError 'bad-config' */
export function requireName(raw: JsonObject): string {
  const { name } = raw;
  if (typeof name !== 'string' || name === '') {
    throw configError([{ key: 'name', text: sentence('name', 'must be the name of the network', name) }]);
  }
  if (faultOfName(name) === undefined) return name;
  const rule = 'must begin with a letter or digit and have only letters, digits, "_", "." and "-"';
  throw configError([{ key: 'name', text: sentence('name', rule, name) }]);
}

const VALID_ATTACHMENTS = 'cni.dev/valid-attachments';
/** What libcni called the key by mistake, and sends still (containernetworking/cni issue 1101). */
const LEGACY_ATTACHMENTS = 'cni.dev/attachments';

/**
 * What GC must leave alone. Undefined when neither key is there, which libcni takes for "nothing is valid".
 * @throws ManifoldError 'bad-config': a malformed entry must not free what it was meant to keep
 */
export function validAttachments(raw: JsonObject): AttachmentId[] | undefined {
  const key = raw[VALID_ATTACHMENTS] == null ? LEGACY_ATTACHMENTS : VALID_ATTACHMENTS;
  const list = raw[key];
  // Go's encoder writes null for an empty list.
  if (list === null || (list === undefined && raw[VALID_ATTACHMENTS] === null)) return [];
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw configError([{ key, text: sentence(key, 'must be a list', list) }]);
  const problems: Problem[] = [];
  const valid: AttachmentId[] = [];
  list.forEach((entry: JsonValue, index) => {
    const at = `${key}[${index}]`;
    const { containerID: containerId, ifname } = isJsonObject(entry) ? entry : {};
    if (typeof containerId === 'string' && typeof ifname === 'string') valid.push({ containerId, ifname });
    else
      problems.push({
        key: at,
        text: sentence(at, 'must be {"containerID": string, "ifname": string}', entry),
      });
  });
  if (problems.length > 0) throw configError(problems);
  return valid;
}

/** The answer to VERSION, in the version asked for where standard input says one that we speak. */
export function versionAnswer(text: string): JsonObject {
  const said = /"cniVersion"\s*:\s*"([0-9.]+)"/.exec(text)?.[1] ?? '';
  return {
    cniVersion: newestOf([said]) ?? newestOf(SUPPORTED_VERSIONS),
    supportedVersions: SUPPORTED_VERSIONS,
  };
}
