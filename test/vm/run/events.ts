// What a run tells the tests that wait for it: a file of JSON lines, written by one process and followed by another.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndOfCase, GuestEvent } from '../protocol.ts';

export const EVENTS_FILE = 'events';

export interface EndOfRun {
  /** Why not every case has run; undefined when all have. */
  readonly reason?: string;
  /** Whether the guest got to its first case. */
  readonly ready: boolean;
  /** The last lines of the guest's console. */
  readonly console: readonly string[];
  /** The last lines that Node in the guest and QEMU have written. */
  readonly output: readonly string[];
}

export type RunEvent =
  | GuestEvent
  | { readonly event: 'boots-again'; readonly end: EndOfRun }
  | { readonly event: 'over'; readonly end: EndOfRun };

const LOOK_EVERY_MS = 50;

/** Waits for a case. @throws Error with all that is known when it failed, or will never end */
export async function caseEnd(directory: string, id: string): Promise<EndOfCase> {
  for (;;) {
    const events = readEvents(directory);
    const end = events.find((event) => event.event === 'end' && event.id === id);
    if (end?.event === 'end') {
      if (end.failure === undefined) return end;
      throw failed(end.failure.message, end.failure.stack, [
        ['told by the case', end.told],
        ['log of the case', end.log],
        ["kernel's messages", end.kernel],
      ]);
    }
    const over = events.at(-1);
    if (over?.event === 'over') throw neverRan(events, over.end, id);
    await sleep(LOOK_EVERY_MS);
  }
}

export function readEvents(directory: string): RunEvent[] {
  const file = join(directory, EVENTS_FILE);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  // What follows the last newline is being written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as RunEvent);
}

function neverRan(
  events: readonly RunEvent[],
  { reason = 'it was not among the cases', console, output }: EndOfRun,
  id: string,
): Error {
  const started = events.findLast((event) => event.event === 'start');
  const last = started?.event === 'start' ? started.id : undefined;
  if (last !== undefined && last !== id)
    return failed(`Cannot run this case: the machine ended in "${last}" (${reason})`, '', []);
  const crash = events.findLast((event) => event.event === 'failed');
  const [stack, kernel] = crash?.event === 'failed' ? [crash.failure.stack, crash.kernel] : ['', []];
  return failed(reason, stack, [
    ["kernel's messages", kernel],
    ["guest's console", console],
    ["output of the guest's Node and of QEMU", output],
  ]);
}

function failed(
  message: string,
  stack: string,
  parts: readonly (readonly [string, readonly string[]])[],
): Error {
  const shown = parts.filter(([, lines]) => lines.some((line) => line !== ''));
  const text = shown.map(([title, lines]) => `\n--- ${title}\n${lines.join('\n')}`);
  const error = new Error([message, ...text].join('\n'));
  // vitest shows the stack of the guest, in the sources; this one would only lead here.
  error.stack = `${error.name}: ${error.message}\n${stack
    .split('\n')
    .filter((line) => /^ +at /.test(line))
    .join('\n')}`;
  return error;
}
