// One case after the other, each with its log, the kernel's messages and a limit of time.
import type { VmGroup } from '../case.ts';
import { caseId, type VmCase } from '../case.ts';
import type { CaseFailure, GuestEvent } from '../protocol.ts';
import { HomePorts } from './home-ports.ts';
import type { KernelMessages } from './kernel-messages.ts';
import { run } from './programs.ts';
import type { Vm } from './vm.ts';
import { soon } from './wait.ts';

/** All of a Vm that outlives a case. */
export type World = Pick<Vm, 'kernel' | 'sysfs' | 'ports' | 'wire' | 'settings'>;

export interface RunDeps {
  readonly world: World;
  readonly messages: KernelMessages;
  readonly say: (event: GuestEvent) => void;
}

export async function runCases(
  groups: readonly VmGroup[],
  wanted: ReadonlySet<string>,
  { world, messages, say }: RunDeps,
): Promise<void> {
  const home = new HomePorts(world.kernel, world.ports);
  for (const group of groups) {
    for (const one of group.cases) {
      const id = caseId(group, one);
      if (!wanted.has(id)) continue;
      say({ event: 'start', id, limitMs: one.limitMs });
      const started = performance.now();
      const log: string[] = [];
      const told: string[] = [];
      const failure = await runCase(one, world, log, told);
      const ms = Math.round(performance.now() - started);
      const kernel = messages.take();
      log.push(...(await home.restore()));
      messages.take();
      say({ event: 'end', id, ms, ...(failure && { failure }), log, told, kernel });
    }
  }
}

async function runCase(
  one: VmCase,
  world: World,
  log: string[],
  told: string[],
): Promise<CaseFailure | undefined> {
  const undos: (() => void)[] = [];
  const vm: Vm = {
    ...world,
    log: (text) => log.push(text),
    tell: (text) => told.push(text),
    run: (file, ...args) => run(file, args),
    until: soon,
    defer: (undo) => undos.push(undo),
  };
  let failure: CaseFailure | undefined;
  try {
    await inTime(one, vm);
  } catch (error) {
    failure = failureOf(error);
  }
  for (const undo of undos.reverse()) {
    try {
      undo();
    } catch (error) {
      failure ??= failureOf(error);
    }
  }
  return failure;
}

async function inTime(one: VmCase, vm: Vm): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The case was not over after ${one.limitMs} ms`)), one.limitMs);
  });
  try {
    await Promise.race([Promise.resolve(one.run(vm)), late]);
  } finally {
    clearTimeout(timer);
  }
}

export function failureOf(error: unknown): CaseFailure {
  if (!(error instanceof Error)) return { message: String(error), stack: '' };
  const { message, stack = '' } = error;
  const cause = error.cause === undefined ? '' : `\ncause: ${failureOf(error.cause).stack}`;
  return { message, stack: `${stack}${cause}` };
}
