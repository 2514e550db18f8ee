// The machine runs beside the tests of other projects: vitest starts it before them, and vm.test.ts, which comes last,
// tells what came out.
import { join } from 'node:path';
import { env } from 'node:process';
import type { TestProject } from 'vitest/node';
import { caseId } from '../case.ts';
import { VM_GROUPS } from '../groups.ts';
import { makeRunDirectory, type RunDirectory } from '../machine/run-directory.ts';
import type { VmSettings } from '../protocol.ts';
import { runVm } from './vm-run.ts';

const PREFIX = 'MANIFOLD_VM_';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Directory of the run. */
    vmRun: string;
  }
}

let directory: RunDirectory | undefined;
let run: Promise<void> | undefined;
const stop = new AbortController();

export function setup(project: TestProject): void {
  const pattern = project.vitest.config.testNamePattern;
  const all = VM_GROUPS.flatMap((group) => group.cases.map((one) => caseId(group, one)));
  const ids = all.filter((id) => pattern === undefined || pattern.test(id));
  directory = makeRunDirectory();
  project.provide('vmRun', directory.path);
  if (ids.length === 0) return;
  const entry = join(import.meta.dirname, '../guest/main.ts');
  run = runVm({ ids, entry, directory: directory.path, settings: settingsOf(env) }, stop.signal);
}

/** MANIFOLD_VM_SEED=1 is the setting SEED. */
function settingsOf(environment: NodeJS.ProcessEnv): VmSettings {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) =>
      key.startsWith(PREFIX) && value !== undefined ? [[key.slice(PREFIX.length), value]] : [],
    ),
  );
}

export async function teardown(): Promise<void> {
  stop.abort();
  await run;
  directory?.[Symbol.dispose]();
}
