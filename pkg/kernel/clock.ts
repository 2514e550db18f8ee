// Time for synchronous waits: blocks the thread, and is not moved by whoever sets the clock.
import { hrtime } from 'node:process';

/** Milliseconds since some moment. */
export const monotonicMs = (): number => Number(hrtime.bigint() / 1_000_000n);

/** Blocks this thread. */
export function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
