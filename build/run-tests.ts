// Runs every test and prints "N passed, N failed" as the last line. Exit code 1 on a failure and when no test ran.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath, exit } from 'node:process';

interface JsonReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

/** What vitest wrote; undefined when it died before it could. */
function readReport(file: string): JsonReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as JsonReport;
  } catch (error) {
    console.error(`Cannot read vitest's report ${file}: ${error}`);
    return undefined;
  }
}

const directory = mkdtempSync(join(tmpdir(), 'manifold-tests-'));
const report = join(directory, 'report.json');
const vitest = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
const run = spawnSync(
  execPath,
  [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...argv.slice(2)],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
const result = readReport(report);
rmSync(directory, { recursive: true, force: true });

const passed = result?.numPassedTests ?? 0;
// A file that cannot be loaded has no tests to count, and an error outside any test fails none: both are failures.
const unloadable = result?.testResults.filter(
  (f) => f.status === 'failed' && f.assertionResults.length === 0,
).length;
const counted = (result?.numFailedTests ?? 0) + (unloadable ?? 0);
const failed = counted === 0 && run.status !== 0 ? 1 : counted;
if (passed + failed === 0) console.error('Cannot call this a test run: no test was executed');
console.log(`${passed} passed, ${failed} failed`);
exit(failed > 0 || passed === 0 ? 1 : 0);
