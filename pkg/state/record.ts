// Records to and from the JSON that the tables keep.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { RawRow } from './node-store.ts';
import { misshapen } from './record-shape.ts';
import type { Row } from './state-file.ts';

/** The record of a row. @throws ManifoldError 'state' when it is not JSON, or not of its table's shape */
export function recordOf<T>(row: Row, table: RawRow['table'], file: string): T {
  let record: unknown;
  try {
    record = JSON.parse(String(row.record));
  } catch (error) {
    throw unreadable(row, file, 'is not JSON', error);
  }
  const wrong = misshapen(table, record);
  if (wrong !== undefined) throw unreadable(row, file, `has a wrong shape: ${wrong}`);
  return record as T;
}

/** All records of the rows, in their order. */
export const recordsOf = <T>(rows: readonly Row[], table: RawRow['table'], file: string): T[] =>
  rows.map((row) => recordOf<T>(row, table, file));

function unreadable({ record: _, ...key }: Row, file: string, reason: string, cause?: unknown) {
  return new ManifoldError(
    'state',
    `Cannot read the node's store: a record ${reason} (${file}: ${JSON.stringify(key)})`,
    {
      hint: `See all that is wrong in it with "manifold check-state". Drain the node before you remove the record.`,
      cause,
    },
  );
}
