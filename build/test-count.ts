// How many tests passed and failed, from vitest's JSON report and exit code.

export interface JsonReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
}

/** @param report undefined when vitest died before it could write one */
export function countTests(report: JsonReport | undefined, exitCode: number | null): TestCount {
  // A file that cannot be loaded has no tests to count; an error outside of any test fails none. Both are failures.
  const unloadable = report?.testResults.filter(
    (f) => f.status === 'failed' && f.assertionResults.length === 0,
  );
  const failed = (report?.numFailedTests ?? 0) + (unloadable?.length ?? 0);
  return { passed: report?.numPassedTests ?? 0, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
