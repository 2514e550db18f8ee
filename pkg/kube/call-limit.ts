// How long one call may take: the caller's signal and the client's own limit as one, and a sleep that both end.

export interface CallLimit {
  readonly signal: AbortSignal;
  /** Milliseconds that are left by the own limit; the caller's signal tells nobody when it will come. */
  leftMs(): number;
  elapsedMs(): number;
  /** @returns false at once when the limit comes first */
  sleep(ms: number): Promise<boolean>;
  /** Runs with a signal that ends after that time, or with the limit. */
  within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  end(): void;
}

/** @param timeoutMs Infinity: the caller's signal alone */
export function callLimit(timeoutMs: number, outer: AbortSignal | undefined): CallLimit {
  const began = performance.now();
  const controller = new AbortController();
  const { signal } = controller;
  const abort = () => controller.abort();
  const timer = Number.isFinite(timeoutMs) ? setTimeout(abort, timeoutMs) : undefined;
  outer?.addEventListener('abort', abort, { once: true });
  if (outer?.aborted) abort();
  const elapsedMs = () => performance.now() - began;
  return {
    signal,
    elapsedMs,
    leftMs: () => (signal.aborted ? 0 : Math.max(0, timeoutMs - elapsedMs())),
    sleep: (ms) =>
      new Promise((resolve) => {
        const wake = () => {
          clearTimeout(alarm);
          signal.removeEventListener('abort', wake);
          resolve(!signal.aborted);
        };
        const alarm = setTimeout(wake, ms);
        signal.addEventListener('abort', wake, { once: true });
        if (signal.aborted) wake();
      }),
    async within(ms, work) {
      const inner = new AbortController();
      const stop = () => inner.abort();
      const alarm = setTimeout(stop, ms);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      try {
        return await work(inner.signal);
      } finally {
        clearTimeout(alarm);
        signal.removeEventListener('abort', stop);
      }
    },
    end() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', abort);
    },
  };
}
