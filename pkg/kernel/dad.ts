// Waiting for IPv6 duplicate address detection (RFC 4862 section 5.4), by looking.
import { monotonicMs, sleep } from './clock.ts';
import type { Address } from './kernel.ts';
import { KernelError } from './kernel-error.ts';

const LOOK_EVERY_MS = 10;

/**
 * @param link says which link it is, for errors
 * @throws KernelError 'kernel' (EADDRINUSE, ETIMEDOUT)
 */
export function waitForDad(read: () => readonly Address[], timeoutMs: number, link: () => string): void {
  const end = monotonicMs() + timeoutMs;
  for (;;) {
    const addresses = read();
    const failed = addresses.filter(({ flags }) => flags.includes('dadfailed')).map(({ cidr }) => cidr);
    if (failed.length > 0) {
      throw new KernelError(
        'kernel',
        `Cannot use address ${failed.join(', ')} on ${link()}: another machine on this network has it`,
        'EADDRINUSE',
        'Duplicate address detection failed. Find the other holder, or exclude the address from the range.',
      );
    }
    const waiting = addresses.filter(({ flags }) => flags.includes('tentative')).map(({ cidr }) => cidr);
    if (waiting.length === 0) return;
    if (monotonicMs() >= end) {
      throw new KernelError(
        'kernel',
        `Cannot use address ${waiting.join(', ')} on ${link()}: still tentative after ${timeoutMs} ms`,
        'ETIMEDOUT',
        'Duplicate address detection ends only on a link that is up and has carrier.',
      );
    }
    sleep(LOOK_EVERY_MS);
  }
}
