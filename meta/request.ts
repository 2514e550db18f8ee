// The networks that a pod asks for: the short form "tenant/storage@net5, rail0" and the JSON list (NPWG 4.1).
// Parsing only: what the names stand for is plan.ts's matter.
import { faultOfIfname } from '../pkg/cni/names.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { isNamespaceName, isObjectName, NAME_RULE } from './kubernetes-name.ts';
import { parseRequestItem } from './request-item.ts';

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
  readonly hostIP?: string;
}

/** Bits per second, bits. */
export interface Bandwidth {
  readonly ingressRate?: number;
  readonly ingressBurst?: number;
  readonly egressRate?: number;
  readonly egressBurst?: number;
}

/** One network asked for, in the order asked. */
export interface NetworkRequest {
  readonly name: string;
  /** Undefined: the pod's own. */
  readonly namespace?: string;
  /** Undefined: net<position>. */
  readonly ifname?: string;
  readonly mac?: string;
  /** Addresses, with or without prefix length. */
  readonly ips?: readonly string[];
  /** Gateways of the pod's default routes; empty: the ones that the network itself gives. */
  readonly defaultRoute?: readonly string[];
  readonly portMappings?: readonly PortMapping[];
  readonly bandwidth?: Bandwidth;
  readonly infinibandGuid?: string;
  readonly cniArgs?: JsonObject;
  readonly deviceId?: string;
  readonly ipamClaim?: string;
  /** Keys that mean nothing to us: most likely misspelt. */
  readonly unknownKeys?: readonly string[];
}

/**
 * Parses a request in either form; a JSON list may also come already parsed.
 * @param source where it came from, for the error: "MANIFOLD_NETWORKS of CNI_ARGS"
 * @throws ManifoldError 'bad-config' naming every mistake, the first in the message
 */
export function parseRequest(value: unknown, source: string): NetworkRequest[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== 'string') return parseList(value, source);
  const text = value.trim();
  if (text === '') return [];
  return text.startsWith('[') || text.startsWith('{')
    ? parseList(fromJson(text, source), source)
    : parseShort(text, source);
}

function fromJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw refuse(source, [`Cannot read the networks asked for: it is not JSON (${error.message})`]);
  }
}

function parseList(value: unknown, source: string): NetworkRequest[] {
  if (!Array.isArray(value))
    throw refuse(source, ['Cannot read the networks asked for: JSON must be a list, as [{"name": "rail0"}]']);
  const problems: string[] = [];
  const requests = value.map((item: unknown, index) =>
    parseRequestItem(item, `networks[${index}]`, problems),
  );
  if (problems.length > 0) throw refuse(source, problems);
  return requests;
}

function parseShort(text: string, source: string): NetworkRequest[] {
  const problems: string[] = [];
  const requests = text.split(',').map((part) => parseShortItem(part.trim(), problems));
  if (problems.length > 0) throw refuse(source, problems);
  return requests;
}

function parseShortItem(item: string, problems: string[]): NetworkRequest {
  const [reference = '', ifname, ...moreIfnames] = item.split('@');
  const names = reference.split('/');
  const name = names.at(-1) ?? '';
  const namespace = names.length > 1 ? names[0] : undefined;
  const fault = (text: string) => problems.push(`Cannot use the network ${JSON.stringify(item)}: ${text}`);
  if (item === '') fault('it is empty; there are two commas, or one at the end');
  else if (names.length > 2) fault('it has more than one "/"');
  else if (moreIfnames.length > 0) fault('it has more than one "@"');
  else if (!isObjectName(name)) fault(`its name ${NAME_RULE}`);
  else if (namespace !== undefined && !isNamespaceName(namespace)) fault(`its namespace ${NAME_RULE}`);
  const faultOfLink = ifname === undefined ? undefined : faultOfIfname(ifname);
  if (faultOfLink !== undefined) fault(`of its interface name, ${faultOfLink}`);
  return { name, ...(namespace !== undefined && { namespace }), ...(ifname !== undefined && { ifname }) };
}

function refuse(source: string, problems: readonly string[]): ManifoldError {
  const [first = '', ...others] = problems;
  return new ManifoldError('bad-config', `${first} (in ${source})`, {
    hint: [
      ...others,
      'write "namespace/name@interface, …" or a JSON list of objects with at least "name"',
    ].join('; '),
  });
}
