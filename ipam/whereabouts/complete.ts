// A configuration of Whereabouts as manifold-ipam reads it: the defaults of its flat file merged in, its ways of saying
// where the cluster, the node and the log are turned into ours.
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import type { Completed, JsonObject } from '../../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import {
  FLAT_DIRECTORIES,
  type FlatFile,
  isOneOf,
  kindOf,
  mergeDefaults,
  readFlatFile,
  readNodeName,
} from './flat-file.ts';
import { lenientRanges } from './lenient-range.ts';

export interface CompleteOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A DEL must free what it can: what is wrong becomes a remark. */
  readonly forDel: boolean;
  /** Where the flat file is looked for. @default those of Whereabouts */
  readonly directories?: readonly string[];
}

/**
 * The whole network configuration, completed.
 * @throws ManifoldError 'bad-config' for a flat file that is none, or when nothing names a kubeconfig
 */
export function completeWhereabouts(raw: JsonObject, options: CompleteOptions): Completed {
  const remarks: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const remark = (event: string, fields: Readonly<Record<string, unknown>>) =>
    void remarks.push({ event, fields });
  if (!isJsonObject(raw.ipam)) return { config: raw, remarks };
  const own = raw.ipam;
  const flat = flatFileOf(own, options, remark);
  // `manifold` in the flat file is beside `ipam` in a configuration.
  const { manifold: flatManifold, ...flatKeys } = keysThatCount(flat, raw, remark);
  if (flat !== undefined) remark('defaults of Whereabouts', { file: flat.path });
  const ipam = lenientRanges(mergeDefaults(own, flatKeys), remark);
  const given = mergeDefaults(objectOf(raw.manifold), objectOf(flatManifold));
  const manifold: JsonObject = { ...settingsOf(ipam, own, given, options), ...given };
  if (textOf(manifold.kubeconfig) === '') {
    if (!options.forDel) throw withoutKubeconfig(flat);
    remark('no kubeconfig is named', {});
  }
  return { config: { ...raw, ipam, manifold }, remarks };
}

function flatFileOf(
  own: JsonObject,
  { directories = FLAT_DIRECTORIES, forDel }: CompleteOptions,
  remark: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): FlatFile | undefined {
  try {
    return readFlatFile(textOf(own.configuration_path), directories);
  } catch (error) {
    if (!forDel || !isManifoldError(error)) throw error;
    remark('defaults of Whereabouts not read', { reason: error.message });
    return undefined;
  }
}

/** The meta plugin has set these for the node: then a definition chooses neither node name nor a file that root writes. */
const isSetByNode = (manifold: JsonObject): boolean => manifold.stateDir !== undefined;

/** Of a file that the configuration names no log file counts, and nothing of ours where the node has settings. */
function keysThatCount(
  flat: FlatFile | undefined,
  raw: JsonObject,
  remark: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): JsonObject {
  if (flat === undefined || flat.isNodes) return flat?.keys ?? {};
  const { log_file: logFile, manifold, ...keys } = flat.keys;
  const { logFile: ourLogFile, ...settings } = objectOf(manifold);
  const isNodes = isSetByNode(objectOf(raw.manifold));
  if (logFile !== undefined || ourLogFile !== undefined || (isNodes && manifold !== undefined))
    remark("keys not taken from a file that is not the node's", { file: flat.path });
  return isNodes ? keys : { ...keys, manifold: settings };
}

/** What the keys of Whereabouts say in terms of `manifold`. */
function settingsOf(
  ipam: JsonObject,
  own: JsonObject,
  given: JsonObject,
  options: CompleteOptions,
): JsonObject {
  const nodeName = nodeNameOf(textOf(ipam.configuration_path), given, options);
  const logLevel = LOG_LEVELS[textOf(ipam.log_level)];
  const kubeconfig = textOf(objectOf(ipam.kubernetes).kubeconfig);
  const logFile = textOf(isSetByNode(given) && textOf(own.log_file) !== '' ? undefined : ipam.log_file);
  return {
    // Whereabouts may still run on other nodes, unless the node says that it does not.
    whereabouts: 'open',
    // Here it also reaches a DEL whose ranges are refused.
    ...(kubeconfig !== '' && { kubeconfig }),
    ...(nodeName !== undefined && { nodeName }),
    ...(logLevel !== undefined && { logLevel }),
    ...(logFile.startsWith('/') && { logFile }),
  };
}

function nodeNameOf(
  directory: string,
  given: JsonObject,
  { env, forDel, directories = FLAT_DIRECTORIES }: CompleteOptions,
): string | undefined {
  if (env.NODENAME || kindOf(directory) !== 'directory') return undefined;
  if (isSetByNode(given) && !isOneOf(directories, directory)) return undefined;
  try {
    return readNodeName(directory, directories);
  } catch (error) {
    if (!forDel || !isManifoldError(error)) throw error;
    return undefined;
  }
}

const LOG_LEVELS: Readonly<Record<string, string>> = {
  debug: 'debug',
  verbose: 'info',
  error: 'error',
  panic: 'error',
};

const withoutKubeconfig = (flat: FlatFile | undefined): ManifoldError =>
  new ManifoldError(
    'bad-config',
    "Cannot use 'ipam.kubernetes.kubeconfig' as it must name the kubeconfig of the cluster: it is not set",
    {
      hint: `Set it in the configuration, or in ${flat?.path ?? `a file whereabouts.conf in ${FLAT_DIRECTORIES[1]}`}; or set manifold.kubeconfig.`,
    },
  );

const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
