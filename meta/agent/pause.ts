// Waiting that ends with the agent, and how long to wait after failures.
import { setTimeout as sleep } from 'node:timers/promises';

/** Returns early when the signal comes. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

export interface BackoffOptions {
  /** @default 1000 */
  readonly firstMs?: number;
  /** @default 30000 */
  readonly mostMs?: number;
}

/** Doubled with each failure, and spread by half, so that a thousand agents do not come back at once. */
export function backoffMs(
  failures: number,
  { firstMs = 1000, mostMs = 30_000 }: BackoffOptions = {},
): number {
  return spread(Math.min(mostMs, firstMs * 2 ** Math.min(failures, 20)));
}

/** Between three quarters and five quarters of it. */
export const spread = (ms: number): number => ms * (0.75 + Math.random() / 2);
