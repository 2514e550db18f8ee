// One request to the API server, repeated for as long as that can help. What was lost on the way is settled by the
// caller's own reading (settle), never by a guess.
import type { Logger } from '../log/logger.ts';
import type { CallLimit } from './call-limit.ts';
import { renewalHint, wireHint, withoutToken } from './hints.ts';
import type { KubeAccess } from './kube-access.ts';
import { KubeError } from './kube-error.ts';
import type { ServerClock } from './server-clock.ts';
import { type Asked, retryAfterMs, statusError } from './status.ts';
import { type Transport, WireError, type WireRequest } from './transport.ts';

/** Waits of the nth repetition, in milliseconds, before jitter: none is longer than `mostMs`. */
export interface RetryOptions {
  readonly firstMs: number;
  readonly mostMs: number;
}

export interface CallerParts {
  readonly access: KubeAccess;
  readonly transport: Transport;
  readonly clock: ServerClock;
  readonly retry: RetryOptions;
  readonly log: Logger;
  readonly random: () => number;
}

/** What reading found of a write whose answer was lost. `again`: it has not been carried out, as far as can be seen. */
export type Settled = { readonly done: unknown } | 'again';

export interface Call {
  readonly request: WireRequest;
  readonly asked: Asked;
  readonly limit: CallLimit;
  /**
   * Writes only: reads what became of it, or throws what the write is to answer. Asked after a lost answer, and when
   * a repeated request is refused with Conflict, AlreadyExists or NotFound, which its forerunner may have caused.
   */
  readonly settle?: (refused: KubeError | undefined) => Promise<Settled>;
}

/** Of what is left, the part that one attempt may take: the rest is for another connection, or for settling. */
const ATTEMPT_SHARE = 0.6;
const ATTEMPT_LEAST_MS = 1000;

type Outcome =
  | { readonly kind: 'answer'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly error: KubeError; readonly token?: string | undefined }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An attempt that is worth another. */
interface Failure {
  readonly reason: 'TooManyRequests' | 'ServerError' | 'Unreachable' | 'Timeout';
  readonly text: string;
  readonly hint: string | undefined;
  readonly status?: number;
  readonly waitMs?: number | undefined;
  /** It may have been carried out. */
  readonly lost: boolean;
}

export function createCaller(parts: CallerParts) {
  const { access, transport, clock, retry, log, random } = parts;

  async function attempt({ request, asked, limit }: Call): Promise<Outcome> {
    const share = Math.max(ATTEMPT_LEAST_MS, limit.leftMs() * ATTEMPT_SHARE);
    const sentAt = performance.now();
    const token = access.token();
    let answer: Awaited<ReturnType<Transport['ask']>>;
    try {
      answer = await limit.within(share, (signal) => transport.ask(request, signal));
    } catch (error) {
      return fromWire(error, asked);
    }
    clock.observe(answer.date, sentAt, performance.now());
    const { status, body } = answer;
    if (status >= 200 && status < 300) return fromBody(body);
    const error = statusError(asked, { status, body: withoutToken(body, access) }, renewalHint(access));
    if (error.reason !== 'TooManyRequests' && error.reason !== 'ServerError')
      return { kind: 'refused', error, token };
    const failure: Failure = {
      reason: error.reason,
      text: error.message,
      hint: error.hint,
      status,
      waitMs: retryAfterMs(answer),
      // 429 is said before anything is done; after a 5xx nobody knows.
      lost: error.reason === 'ServerError',
    };
    return { kind: 'failed', failure };
  }

  function fromWire(error: unknown, asked: Asked): Outcome {
    if (!(error instanceof WireError)) throw error;
    // A connection that has died without a word takes its idle neighbours with it.
    transport.dropIdle();
    const hint = wireHint(error, access);
    if (error.fault === 'tls') {
      const message = `Cannot ${asked.verb} ${asked.object}: ${hint.reason} (${asked.server}: ${error.message})`;
      return { kind: 'refused', error: new KubeError('Unreachable', message, { hint: hint.hint }) };
    }
    const reason = error.fault === 'aborted' && error.sent ? 'Timeout' : 'Unreachable';
    return { kind: 'failed', failure: { reason, text: error.message, hint: hint.hint, lost: error.sent } };
  }

  /** Asks until there is an answer. @returns the parsed body @throws KubeError */
  async function ask(call: Call): Promise<unknown> {
    const { asked, limit, settle } = call;
    let [lost, renewed] = [false, false];
    let before: Failure | undefined;
    for (let attempts = 1; ; attempts++) {
      const outcome = await attempt(call);
      if (outcome.kind === 'answer') return outcome.value;
      if (outcome.kind === 'refused') {
        const { error } = outcome;
        if (error.reason === 'Unauthorized' && !renewed && access.renewToken(outcome.token)) {
          renewed = true;
          continue;
        }
        if (!lost || settle === undefined) throw error;
        if (!MAY_BE_OURS.has(error.reason)) throw perhapsDone(error);
        const settled = await settleWith(settle, error, asked);
        if (settled !== 'again') return settled.done;
        // There already, said the API server, and gone when it was read: the name is free again.
        if (error.reason === 'AlreadyExists' && (await limit.sleep(backOff(attempts)))) continue;
        throw error;
      }
      const { failure } = outcome;
      lost ||= failure.lost && settle !== undefined;
      const error = gaveUp(asked, tellingOf(failure, before, limit), limit.elapsedMs(), attempts, lost);
      before = failure;
      const wait = waitMs(failure, backOff(attempts), limit.leftMs());
      log.debug('API call failed', {
        asked: `${asked.verb} ${asked.object}`,
        why: failure.text,
        waitMs: wait,
      });
      if (wait >= limit.leftMs() || !(await limit.sleep(wait))) throw error;
      if (!lost || settle === undefined) continue;
      const settled = await settleWith(settle, undefined, asked);
      if (settled !== 'again') return settled.done;
    }
  }

  /** The first repetition comes at once, since a kept connection breaks most often; the others spread out. */
  function backOff(attempts: number): number {
    if (attempts === 1) return random() * retry.firstMs;
    const most = Math.min(retry.mostMs, retry.firstMs * 2 ** (attempts - 1));
    return most / 2 + (random() * most) / 2;
  }

  return { ask };
}

/**
 * What the server asks for, and a little more, since it says the same to all; else the back-off, cut short when it
 * would end after the limit: there is time for one more attempt.
 */
function waitMs({ waitMs: asked }: Failure, backOffMs: number, leftMs: number): number {
  if (asked !== undefined) return asked + Math.min(backOffMs, Math.max(asked, 50));
  const late = backOffMs >= leftMs - LAST_ATTEMPT_MS && leftMs > 2 * LAST_ATTEMPT_MS;
  return late ? leftMs - LAST_ATTEMPT_MS : backOffMs;
}

const LAST_ATTEMPT_MS = 250;

const MAY_BE_OURS: ReadonlySet<string> = new Set(['AlreadyExists', 'Conflict', 'NotFound']);

/** Where reading fails, too, nobody knows what became of the write: that is what the caller of the write is told. */
async function settleWith(
  settle: NonNullable<Call['settle']>,
  refused: KubeError | undefined,
  { verb, object }: Asked,
): Promise<Settled> {
  try {
    return await settle(refused);
  } catch (error) {
    if (!(error instanceof KubeError) || MAY_BE_OURS.has(error.reason)) throw error;
    const message = `Cannot ${verb} ${object}: its answer was lost, and what became of it cannot be read (${error.message})`;
    throw perhapsDone(error, message);
  }
}

const perhapsDone = ({ reason, message, hint, status }: KubeError, text = message): KubeError =>
  new KubeError(reason, text, {
    ...(hint !== undefined && { hint }),
    ...(status !== undefined && { status }),
    maybeDone: true,
  });

function fromBody(body: string): Outcome {
  try {
    return { kind: 'answer', value: JSON.parse(body) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const text = 'the answer is no JSON';
    const hint =
      'Something between this node and the API server answers in its place: a proxy or load balancer.';
    return { kind: 'failed', failure: { reason: 'ServerError', text, hint, lost: true } };
  }
}

/** An attempt that the limit cut short says less of what is wrong than the one before it. */
const tellingOf = (last: Failure, before: Failure | undefined, { signal }: CallLimit): Failure =>
  signal.aborted && before !== undefined ? before : last;

function gaveUp(
  asked: Asked,
  failure: Failure,
  elapsedMs: number,
  attempts: number,
  maybeDone: boolean,
): KubeError {
  const { reason, text, hint, status } = failure;
  const spent = `${(elapsedMs / 1000).toFixed(1)} s and ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
  const message =
    status === undefined
      ? `Cannot ${asked.verb} ${asked.object}: no answer from the API server after ${spent} (${asked.server}: ${text})`
      : `${text}; still so after ${spent}`;
  return new KubeError(reason, message, {
    ...(hint !== undefined && { hint }),
    ...(status !== undefined && { status }),
    maybeDone,
  });
}
