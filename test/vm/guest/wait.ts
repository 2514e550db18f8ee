// Waiting for what the kernel does later.
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;

/** What `look` gives once it gives something. @throws Error naming `what` when the time is over */
export async function soon<T>(what: string, look: () => T | undefined | false, limitMs = 10_000): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
