import { expect, test } from 'vitest';
import { countTests } from '../../build/test-count.ts';

const file = (status: string, tests: number) => ({ status, assertionResults: Array(tests).fill({}) });

test.each([
  ['all passed', { numPassedTests: 3, numFailedTests: 0, testResults: [file('passed', 3)] }, 0, '3/0'],
  ['one failed', { numPassedTests: 2, numFailedTests: 1, testResults: [file('failed', 3)] }, 1, '2/1'],
  [
    'a file cannot be loaded',
    { numPassedTests: 2, numFailedTests: 0, testResults: [file('failed', 0), file('passed', 2)] },
    1,
    '2/1',
  ],
  [
    'an error outside of any test',
    { numPassedTests: 2, numFailedTests: 0, testResults: [file('passed', 2)] },
    1,
    '2/1',
  ],
  ['vitest died', undefined, null, '0/1'],
  ['nothing ran', { numPassedTests: 0, numFailedTests: 0, testResults: [] }, 0, '0/0'],
])('the count is right when %s', (_, report, exitCode, expected) => {
  const { passed, failed } = countTests(report, exitCode);
  expect(`${passed}/${failed}`).toBe(expected);
});
