// Runs every test and prints "N passed, N failed" as the last line. Exit code 1 on a failure and when no test ran.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath, exit } from 'node:process';
import { countTests, type JsonReport } from './test-count.ts';

const directory = mkdtempSync(join(tmpdir(), 'manifold-tests-'));
const file = join(directory, 'report.json');
const vitest = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
const run = spawnSync(
  execPath,
  [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...argv.slice(2)],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
const report = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as JsonReport) : undefined;
rmSync(directory, { recursive: true, force: true });

const { passed, failed } = countTests(report, run.status);
if (passed + failed === 0) console.error('Cannot call this a test run: no test was executed');
console.log(`${passed} passed, ${failed} failed`);
exit(failed > 0 || passed === 0 ? 1 : 0);
