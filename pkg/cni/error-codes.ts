// The numbers of the CNI specification for our error codes, and a failure as the JSON that section "Error" asks for.
import { type ErrorCode, ManifoldError } from '../errors/manifold-error.ts';

const NUMBERS: Readonly<Record<ErrorCode, number>> = {
  'incompatible-version': 1,
  'unsupported-field': 2,
  'unknown-container': 3,
  'bad-environment': 4,
  io: 5,
  'bad-json': 6,
  'bad-config': 7,
  'bad-netns': 8,
  'try-later': 11,
  // An exhausted range is served again as soon as a pod goes: the specification's word for that is 11.
  'no-address': 11,
  unavailable: 50,
  limited: 51,
  kernel: 100,
  'not-found': 101,
  exists: 102,
  'device-held': 103,
  'address-held': 104,
  'check-failed': 105,
  delegate: 106,
  state: 107,
  api: 108,
  internal: 999,
};

export interface CniError {
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** The number that a runtime is told: the delegate's own where there is one. */
function cniCodeOf(error: ManifoldError): number {
  return error.cniCode ?? NUMBERS[error.code];
}

/** Any failure as a CNI error: one line of message, no stack. What is no ManifoldError is a defect of ours. */
export function toCniError(failure: unknown): CniError {
  if (failure instanceof ManifoldError) {
    const details = [failure.hint, ...causesOf(failure)].filter((text) => text !== undefined);
    return cniError(cniCodeOf(failure), failure.message, details);
  }
  const message = `Cannot finish the call: unexpected error (${messageOf(failure)})`;
  return cniError(NUMBERS.internal, message, [
    'this is a defect of the plugin: please report it',
    ...causesOf(failure),
  ]);
}

function cniError(code: number, message: string, details: readonly string[]): CniError {
  const msg = oneLine(message);
  return details.length === 0 ? { code, msg } : { code, msg, details: details.map(oneLine).join('; ') };
}

/** The messages of what led to a failure, nearest first; those that its own message repeats are left out. */
function causesOf(failure: unknown): string[] {
  const found: string[] = [];
  const visit = (at: unknown, depth: number): void => {
    if (!(at instanceof Error) || depth > 8) return;
    const next: unknown[] = at instanceof AggregateError ? [...at.errors, at.cause] : [at.cause];
    for (const cause of next) {
      if (cause === undefined || cause === null) continue;
      const text = messageOf(cause);
      if (!at.message.includes(text) && !found.includes(text)) found.push(text);
      visit(cause, depth + 1);
    }
  };
  visit(failure, 0);
  return found.map((text) => `cause: ${text}`);
}

function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ').trim();
}
