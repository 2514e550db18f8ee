// What the API server refused, or that it could not be asked: the Status reason beside our own code, as one error.
import { type ErrorCode, ManifoldError } from '../errors/manifold-error.ts';

/**
 * `reason` of a Status (k8s.io/apimachinery meta/v1 StatusReason), of which callers tell these apart, or one of our
 * own: Unreachable (no connection, broken connection), Timeout (no answer within the deadline), Credentials (a file
 * of the configuration cannot be used), Expired (410: a resourceVersion or a continue token that is too old).
 */
export type KubeReason =
  | 'AlreadyExists'
  | 'Conflict'
  | 'NotFound'
  | 'Forbidden'
  | 'Unauthorized'
  | 'Invalid'
  | 'BadRequest'
  | 'TooManyRequests'
  | 'ServerError'
  | 'Expired'
  | 'Unreachable'
  | 'Timeout'
  | 'Credentials'
  | 'Other';

export interface KubeErrorOptions {
  readonly hint?: string;
  readonly cause?: unknown;
  /** HTTP status, where there was an answer. */
  readonly status?: number;
  /** True when the request may have been carried out although no answer came. */
  readonly maybeDone?: boolean;
  /** True for a NotFound of the resource itself: its definition is missing, or something else answers. */
  readonly isResourceUnknown?: boolean;
}

/**
 * A ManifoldError that also says what the API server answered. Codes: 'try-later' where the same call may succeed
 * later (unreachable, time-out, 429, 5xx, 401 since tokens are renewed), 'api' for everything else.
 */
export class KubeError extends ManifoldError {
  readonly reason: KubeReason;
  readonly status: number | undefined;
  readonly maybeDone: boolean;
  readonly isResourceUnknown: boolean;

  constructor(reason: KubeReason, message: string, options: KubeErrorOptions = {}) {
    const { hint, cause, status, maybeDone = false, isResourceUnknown = false } = options;
    super(CODES[reason] ?? 'api', message, {
      ...(hint !== undefined && { hint }),
      ...(cause !== undefined && { cause }),
    });
    this.reason = reason;
    this.status = status;
    this.maybeDone = maybeDone;
    this.isResourceUnknown = isResourceUnknown;
  }
}

const CODES: Readonly<Partial<Record<KubeReason, ErrorCode>>> = {
  TooManyRequests: 'try-later',
  ServerError: 'try-later',
  Unreachable: 'try-later',
  Timeout: 'try-later',
  Unauthorized: 'try-later',
};

/** True for a KubeError, of one of the reasons where reasons are given. */
export function isKubeError(error: unknown, ...reasons: KubeReason[]): error is KubeError {
  return error instanceof KubeError && (reasons.length === 0 || reasons.includes(error.reason));
}

/** What the call answers; undefined where it answers that there is no such thing. @throws KubeError of any other kind */
export async function ifFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined;
    throw error;
  }
}
