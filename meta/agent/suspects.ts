// For how long things have looked wrong without a break: the memory between passes.

export interface Suspicion {
  /** This pass included. */
  readonly passes: number;
  /** Since the first of them. */
  readonly ms: number;
}

/** Not on disk: an agent that starts suspects nobody. */
export class Suspects {
  #before = new Map<string, { passes: number; sinceMs: number }>();
  #now = new Map<string, { passes: number; sinceMs: number }>();

  /** Looks wrong in this pass. May be called several times in one pass. */
  note(key: string, nowMs: number): Suspicion {
    const before = this.#before.get(key);
    const entry = this.#now.get(key) ?? {
      passes: (before?.passes ?? 0) + 1,
      sinceMs: before?.sinceMs ?? nowMs,
    };
    this.#now.set(key, entry);
    return { passes: entry.passes, ms: nowMs - entry.sinceMs };
  }

  /** True when something was noted in this pass. */
  get any(): boolean {
    return this.#now.size > 0;
  }

  /** What was not noted since the last call is suspected no longer. */
  endPass(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /** It is dealt with, or all right: begins anew when it is noted again. */
  clear(key: string): void {
    this.#before.delete(key);
    this.#now.delete(key);
  }
}
