// The reports as a table for people.
import type { RowReport } from './run.ts';

/** One line a row; what was seen stands under the rows that did not pass. */
export function printTable(reports: readonly RowReport[], verbose: boolean): string {
  const width = Math.max(...reports.map(({ id }) => id.length));
  const lines = reports.flatMap((report) => {
    if (report.verdict === 'n/a' && !verbose) return [];
    const head = `${report.verdict.padEnd(7)} ${report.level.padEnd(6)} ${report.id.padEnd(width)} ${report.sentence} [${report.section}]`;
    const because = report.reason === undefined ? [] : [`${' '.repeat(15)}known: ${report.reason}`];
    return report.seen === '' ? [head] : [head, `${' '.repeat(15)}${report.seen}`, ...because];
  });
  return [...lines, '', summary(reports)].join('\n');
}

function summary(reports: readonly RowReport[]): string {
  const count = (verdict: RowReport['verdict']): number =>
    reports.filter((report) => report.verdict === verdict).length;
  return `${reports.length} rows: ${count('pass')} pass, ${count('fail')} fail, ${count('allowed')} fail as allowed, ${count('n/a')} not applicable`;
}
