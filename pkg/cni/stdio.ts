// Standard input and output of a process, synchronously: process.exit() cuts off what process.stdout has not written.
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { isErrno } from './errno.ts';
import { MAX_INPUT_LENGTH } from './network-config.ts';

const CHUNK = 64 * 1024;
const PAUSE_MS = 2;
/** How long VERSION waits for input from a pipe that stays open: a runtime writes at once, a person never. */
const PATIENCE_MS = 200;

/** Reads standard input to its end; with `wait` false, only what comes at once. */
export function readStdin(wait: boolean): string {
  if (wait) return readAll(0, Number.POSITIVE_INFINITY);
  if (isatty(0)) return '';
  // A pipe can be opened once more, without blocking and without changing what others do with it.
  if (!fstatSync(0).isFIFO()) return readAll(0, Number.POSITIVE_INFINITY);
  const fd = openSync('/proc/self/fd/0', constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readAll(fd, PATIENCE_MS);
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, patienceMs: number): string {
  const chunks: Buffer[] = [];
  let total = 0;
  let waitedMs = 0;
  while (total <= MAX_INPUT_LENGTH && waitedMs < patienceMs) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const got = attempt(() => readSync(fd, chunk, 0, CHUNK, null));
    if (got === 0) break;
    if (got === 'again') {
      pause();
      waitedMs += PAUSE_MS;
      continue;
    }
    chunks.push(chunk.subarray(0, got));
    total += got;
  }
  return Buffer.concat(chunks).toString();
}

/**
 * Writes all of a text. A reader that has gone away is no failure of the call, and standard error is for information
 * only: nothing fails when nobody takes it.
 */
export function writeAll(fd: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length; ) {
      const wrote = attempt(() => writeSync(fd, bytes, at));
      if (wrote === 'again') pause();
      else if (wrote === 0) return;
      else at += wrote;
    }
  } catch (error) {
    if (fd === 1) throw error;
  }
}

/** 'again' where the other side made the descriptor non-blocking; 0 where nobody is there any more. */
function attempt(call: () => number): number | 'again' {
  try {
    return call();
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return 'again';
    if (isErrno(error, 'EPIPE', 'EOF')) return 0;
    throw error;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}
