// What can go wrong with one request, and to which requests it is said to happen.
import type { GateMode } from './gate.ts';

export type Fault = (
  | { readonly kind: 'pass' }
  /** Connection reset; the API server never sees the request. */
  | { readonly kind: 'drop' }
  /** The API server carries it out and answers; the client's connection is reset. */
  | { readonly kind: 'lose-answer' }
  /** A Status object from the proxy; the API server never sees the request. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** @default by status: TooManyRequests, Forbidden, ... */
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** Neither forwarded nor answered; the connection stays. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'delay'; readonly beforeMs?: number; readonly afterMs?: number }
  /** Headers and so many bytes of the answer (half of it by default), then a reset. */
  | { readonly kind: 'cut-body'; readonly bytes?: number }
  /** So many whole lines of a watch (default 0) and half of the next; then the body ends, or the connection is reset. */
  | { readonly kind: 'cut-watch'; readonly lines?: number; readonly end?: 'finish' | 'reset' }
) & {
  /** What becomes of the whole server when the request is over. */
  readonly afterwards?: GateMode;
};

export interface Rule {
  readonly method?: string;
  /** Matched with path and query. */
  readonly path?: RegExp;
  /** Only the first so many of the requests that match. */
  readonly times?: number;
  /** Only this one of the requests that match, from 1. */
  readonly nth?: number;
  readonly fault: Fault;
}

/** Rules in the order in which they were given; the first that applies wins, but all count what they match. */
export class Rules {
  #rules: { readonly rule: Rule; seen: number }[] = [];

  add(rule: Rule): void {
    this.#rules.push({ rule, seen: 0 });
  }

  clear(): void {
    this.#rules = [];
  }

  faultOf(method: string, path: string): Fault {
    let found: Fault | undefined;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (rule.method !== undefined && rule.method !== method) continue;
      if (rule.path !== undefined && !rule.path.test(path)) continue;
      entry.seen += 1;
      if (rule.nth !== undefined && rule.nth !== entry.seen) continue;
      if (rule.times !== undefined && entry.seen > rule.times) continue;
      found ??= rule.fault;
    }
    return found ?? { kind: 'pass' };
  }
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** metav1.Status */
export function statusBody({ status, reason, message }: Extract<Fault, { kind: 'answer' }>): string {
  return JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: message ?? `the fault proxy says ${status}`,
    reason: reason ?? REASONS[status] ?? 'Unknown',
    code: status,
  });
}
