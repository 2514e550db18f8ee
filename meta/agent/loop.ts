// A pass that is made again and again: by the clock, and soon after something has changed. Each pass looks at
// everything, so an event that is lost costs time and nothing else; a failure never ends the loop.
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import { type BackoffOptions, backoffMs, pause, spread } from './pause.ts';

export interface LoopOptions {
  /** For the log. */
  readonly name: string;
  /** @returns after how many milliseconds it wants to be made again, when that is sooner than `everyMs` */
  readonly pass: (signal: AbortSignal) => Promise<number | undefined>;
  readonly everyMs: number;
  /** What changes within so long is looked at together. */
  readonly gatherMs: number;
  readonly log: Logger;
  readonly backoff?: BackoffOptions;
}

export class Loop {
  readonly #options: LoopOptions;
  #due = false;
  #wake: AbortController | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Something has changed: a pass is made soon. */
  trigger(): void {
    this.#due = true;
    this.#wake?.abort();
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { name, pass, everyMs, gatherMs, log, backoff } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      this.#due = false;
      let waitMs = spread(everyMs);
      try {
        const soonerMs = await pass(signal);
        if (soonerMs !== undefined) waitMs = Math.min(waitMs, soonerMs);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!isManifoldError(error)) throw error;
        log.warn(`${name} failed, and is tried again`, {
          reason: error.message,
          ...(error.hint !== undefined && { hint: error.hint }),
        });
        // Not sooner for an event: the API server may be what is failing.
        await pause(backoffMs(failures++, backoff), signal);
        continue;
      }
      await this.#wait(waitMs, signal);
      await pause(gatherMs, signal);
    }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#due) return;
    this.#wake = new AbortController();
    await pause(ms, AbortSignal.any([signal, this.#wake.signal]));
    this.#wake = undefined;
  }
}
