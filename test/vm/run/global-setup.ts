// The machine runs beside the tests of other projects: vitest starts it before them, and vm.test.ts, which comes last,
// tells what came out.
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { caseId } from '../case.ts';
import { VM_GROUPS } from '../groups.ts';
import { makeRunDirectory, type RunDirectory } from '../machine/run-directory.ts';
import { runVm } from './vm-run.ts';

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
  run = runVm({ ids, entry, directory: directory.path }, stop.signal);
}

export async function teardown(): Promise<void> {
  stop.abort();
  await run;
  directory?.[Symbol.dispose]();
}
