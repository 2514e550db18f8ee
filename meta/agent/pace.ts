// How fast an agent writes for others: what is not urgent must not fill the API server's queues.
import { pause } from './pause.ts';

export class Pace {
  readonly #gapMs: number;
  #nextMs = 0;

  constructor(perSecond: number) {
    this.#gapMs = 1000 / perSecond;
  }

  /** Returns when the next one may go. */
  async next(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#nextMs);
    this.#nextMs = at + this.#gapMs;
    if (at > now) await pause(at - now, signal);
  }
}
