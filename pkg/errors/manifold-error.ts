// The one error class of this project. pkg/cni/error-codes.ts maps its codes to the numbers of the CNI specification.

/** What kind of thing went wrong. A closed list: a caller may switch on it. */
export type ErrorCode =
  | 'incompatible-version' // cniVersion is none that we speak
  | 'unsupported-field' // a key asks for what this plugin or kernel cannot do
  | 'unknown-container' // the runtime need not call DEL
  | 'bad-environment' // a CNI_* variable is missing or wrong
  | 'io' // reading or writing failed
  | 'bad-json' // standard input is not JSON
  | 'bad-config' // the network configuration is wrong
  | 'bad-netns' // CNI_NETNS is no network namespace, or our own
  | 'try-later' // retry: the same call may succeed later
  | 'unavailable' // STATUS: ADD cannot be served
  | 'limited' // STATUS: ADD cannot be served and running containers are affected
  | 'kernel' // the kernel refused (errno in the message)
  | 'not-found' // a device, parent or object that must exist does not
  | 'exists' // something is there that must not be
  | 'device-held' // the device belongs to another attachment
  | 'no-address' // the ranges are exhausted
  | 'address-held' // a requested address belongs to somebody else
  | 'check-failed' // CHECK: the kernel differs from the result of ADD
  | 'delegate' // a plugin that we called failed
  | 'state' // the node's store cannot be used
  | 'api' // the Kubernetes API server refused, and would refuse again
  | 'internal'; // a defect of ours

export interface ManifoldErrorOptions {
  /** What to do about it: becomes `details` of the CNI error. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** A number to report instead of the code's own: the code of a delegate's error, passed on. */
  readonly cniCode?: number;
}

/**
 * Every failure that a user may see. The message has the form
 * "Cannot <verb> <object>: <reason> (<value>)" and fits one line; the hint says what to do.
 */
export class ManifoldError extends Error {
  override readonly name = 'ManifoldError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly cniCode: number | undefined;

  constructor(code: ErrorCode, message: string, options: ManifoldErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.cniCode = options.cniCode;
  }
}

/** True for a ManifoldError, of one of the codes where codes are given. */
export function isManifoldError(error: unknown, ...codes: ErrorCode[]): error is ManifoldError {
  return error instanceof ManifoldError && (codes.length === 0 || codes.includes(error.code));
}
