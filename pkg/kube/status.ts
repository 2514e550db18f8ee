// An answer of the API server that is no success, as a KubeError: its Status (meta/v1), and what to do about it.
import { KubeError, type KubeReason } from './kube-error.ts';

/** What was asked, for messages. */
export interface Asked {
  /** "create", "list": also the verb that RBAC knows it by. */
  readonly verb: string;
  /** "ipleases.ipam.manifold.dev": as RBAC and kubectl name it. */
  readonly resource: string;
  /** "ipleases.ipam.manifold.dev 10.1.0.5". */
  readonly object: string;
  readonly server: string;
}

/** What a Status says, as far as callers and users need it. */
interface Status {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
  /** Name of the object that it is about. */
  readonly name: string | undefined;
}

/** @param hintFor401 where the credentials come from and what renews them */
export function statusError(
  asked: Asked,
  answer: { readonly status: number; readonly body: string },
  hintFor401: string,
): KubeError {
  const { status } = answer;
  const said = readStatus(answer.body);
  const reason = reasonOf(status, said?.reason);
  const text = said?.message ?? `HTTP status ${status}${excerpt(answer.body)}`;
  const message = `Cannot ${asked.verb} ${asked.object}: the API server answers ${said?.reason || status} (${asked.server}: ${text})`;
  // For a resource that it does not know the API server has no Status of its own, or one that names no object.
  const isResourceUnknown = reason === 'NotFound' && said?.name === undefined;
  const hint = isResourceUnknown ? unknownHint(asked) : hintOf(reason, asked, text, hintFor401);
  return new KubeError(reason, message, { status, isResourceUnknown, ...(hint !== undefined && { hint }) });
}

/** Seconds that a Status or the header asks to wait. */
export function retryAfterMs(answer: {
  readonly body: string;
  readonly retryAfter: string | undefined;
}): number | undefined {
  const header = answer.retryAfter;
  if (header !== undefined && /^\d+$/.test(header)) return Number(header) * 1000;
  if (header !== undefined && !Number.isNaN(Date.parse(header)))
    return Math.max(0, Date.parse(header) - Date.now());
  const seconds = readStatus(answer.body)?.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}

function readStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    // What stands between us and the API server answers in words of its own.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return statusOf(parsed);
}

/** @param value of an answer, or of an ERROR event of a watch */
export function statusOf(value: unknown): (Status & { readonly code: number }) | undefined {
  if (!isRecord(value) || value.kind !== 'Status') return undefined;
  const { reason, message, details, code } = value;
  const { retryAfterSeconds: seconds, name } = isRecord(details) ? details : {};
  return {
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' && message !== '' ? message : 'it gives no reason',
    code: typeof code === 'number' ? code : 0,
    retryAfterSeconds: typeof seconds === 'number' && seconds > 0 ? seconds : undefined,
    name: typeof name === 'string' && name !== '' ? name : undefined,
  };
}

const BY_REASON: Readonly<Record<string, KubeReason>> = {
  AlreadyExists: 'AlreadyExists',
  Conflict: 'Conflict',
  NotFound: 'NotFound',
  Forbidden: 'Forbidden',
  Unauthorized: 'Unauthorized',
  Invalid: 'Invalid',
  BadRequest: 'BadRequest',
  TooManyRequests: 'TooManyRequests',
  Expired: 'Expired',
  Gone: 'Expired',
  InternalError: 'ServerError',
  ServerTimeout: 'ServerError',
  Timeout: 'ServerError',
  ServiceUnavailable: 'ServerError',
};

const BY_CODE: Readonly<Record<number, KubeReason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
};

export function reasonOf(status: number, reason: string | undefined): KubeReason {
  const known = reason === undefined ? undefined : BY_REASON[reason];
  return known ?? BY_CODE[status] ?? (status >= 500 ? 'ServerError' : 'Other');
}

function hintOf(reason: KubeReason, asked: Asked, text: string, hintFor401: string): string | undefined {
  switch (reason) {
    case 'Unauthorized':
      return hintFor401;
    case 'Forbidden':
      return forbiddenHint(asked, text);
    case 'TooManyRequests':
      return 'The API server is busy; the call may be repeated. If it stays so, look at its priority and fairness levels.';
    case 'ServerError':
      return `The API server or its etcd is in trouble; the call may be repeated. Look at: kubectl get --raw '/readyz?verbose'.`;
    case 'BadRequest':
      return /field label not supported|not a known field selector/.test(text) ? olderHint(asked) : undefined;
    case 'Invalid':
      return `A rule of the definition, or of this version of it, says no. ${olderHint(asked)}`;
    default:
      return undefined;
  }
}

const olderHint = ({ resource }: Asked): string =>
  `Where the cluster's definition of ${resource} is of another version than this program, apply this version's: kubectl apply -R -f deploy/.`;

/** All kinds of refusal are one 403: of the authorizer, whose words are fixed, of admission, and of a policy among it. */
function forbiddenHint({ verb, resource }: Asked, text: string): string {
  if (/ValidatingAdmissionPolicy|admission webhook|denied (the )?request/.test(text))
    return 'An admission policy says no, whatever rights the user has: the message says why, and which one.';
  if (/User "[^"]*" cannot /.test(text))
    return `The user that the message names needs the verb "${verb}" on ${resource}: the ClusterRoles are in deploy/rbac.yaml (kubectl apply -R -f deploy/), and must be bound to it.`;
  return 'The rights of the user may suffice: what the message names says no (a quota, a namespace that ends, admission).';
}

const unknownHint = ({ resource, server }: Asked): string =>
  `The cluster has no such resource: its definition is missing (kubectl get crd ${resource}; kubectl apply -R -f deploy/), or ${server} is not the address of an API server.`;

/** The first words of an answer that is no Status. */
const excerpt = (body: string): string => {
  const words = body.replaceAll(/\s+/g, ' ').trim().slice(0, 120);
  return words === '' ? '' : `, ${words}`;
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
