// What the host reports when something goes wrong in the machine, or with the process that runs it.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, type TestContext, test, vi } from 'vitest';
import { makeRunDirectory } from './machine/run-directory.ts';
import { caseEnd, readEvents } from './run/events.ts';
import { runVm, type VmRunOptions } from './run/vm-run.ts';

const entry = join(import.meta.dirname, 'faults/guest-entry.ts');

/** Runs cases of faults/groups.ts by name. @returns the run's directory */
async function runFaults(
  { onTestFinished }: TestContext,
  names: readonly string[],
  options: Partial<VmRunOptions> = {},
): Promise<string> {
  const directory = makeRunDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const ids = names.map((name) => `faults ${name}`);
  await runVm({ ids, entry, directory: directory.path, ...options }, new AbortController().signal);
  return directory.path;
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? '') : String(error));
const outcome = (directory: string, name: string): Promise<string> =>
  caseEnd(directory, `faults ${name}`).then(() => 'passed', stackOf);

describe.concurrent('the machine', () => {
  test('boots again when it hangs, reports each case by itself, and a panic as what it is', async (context) => {
    const { expect } = context;
    const names = ['assertion', 'never over', 'good', 'panic', 'never returns'];
    const directory = await runFaults(context, names, { bootLimitsMs: [300, 90_000] });
    const [hung] = readEvents(directory);
    const reason = 'The guest had not booted after 0.3 s';
    expect(hung).toMatchObject({ event: 'boots-again', end: { reason } });

    const assertion = await outcome(directory, 'assertion');
    expect(assertion).toContain('1 !== 2');
    expect(assertion).toContain('what the case has said');
    expect(assertion).toMatch(/igbvf 0000:01:10\.0: Link is Up/);
    expect(assertion).toMatch(/test\/vm\/faults\/groups\.ts:12:7/);
    expect(await outcome(directory, 'never over')).toContain('The case was not over after 200 ms');
    expect(await outcome(directory, 'good')).toBe('passed');
    expect(await outcome(directory, 'panic')).toMatch(/guest's kernel died: .*sysrq triggered crash/);
    const after = await outcome(directory, 'never returns');
    expect(after).toContain('Cannot run this case: the machine ended in "faults panic"');
  });

  test('says that Node was killed in the guest, and in which case', async (context) => {
    const directory = await runFaults(context, ['node killed', 'panic']);
    const killed = await outcome(directory, 'node killed');
    context.expect(killed).toContain('Node in the guest ended (exit code 137)');
    const after = await outcome(directory, 'panic');
    context.expect(after).toContain('the machine ended in "faults node killed"');
  });

  test('is stopped when a case does not return', async (context) => {
    const directory = await runFaults(context, ['never returns'], { graceMs: 500 });
    const text = await outcome(directory, 'never returns');
    context.expect(text).toContain('"faults never returns" had not returned after 0.6 s');
  });

  test('shows an error that no case waits for', async (context) => {
    const directory = await runFaults(context, ['thrown later']);
    const text = await outcome(directory, 'thrown later');
    context.expect(text).toContain('nobody waits for this');
    context.expect(text).toMatch(/Immediate.* \(.*test\/vm\/faults\/groups\.ts:\d+:15\)/);
  });
});

test('a run that is killed leaves neither a process nor a file', async () => {
  const program = join(import.meta.dirname, 'faults/run-entry.ts');
  const child = spawn(execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface(child.stdout);
  const directory = await new Promise<string>((resolve) => lines.once('line', resolve));
  expect(existsSync(directory)).toBe(true);
  await vi.waitFor(() => expect(processesWith(directory)).not.toEqual([]), 60_000);
  child.kill('SIGKILL');
  await vi.waitFor(() => {
    expect(processesWith(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  }, 60_000);
});

/** Ids of the processes whose command line has the text. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch (error) {
      // Ended between the two reads.
      if (error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH'].includes(`${error.code}`))
        return false;
      throw error;
    }
  });
}
