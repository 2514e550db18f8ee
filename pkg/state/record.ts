// Records to and from the JSON that the tables keep.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Row } from './state-file.ts';

/** The record of a row. @throws ManifoldError 'state' when it is not JSON; what shape it has, checkState() looks at */
export function recordOf<T>(row: Row, file: string): T {
  try {
    return JSON.parse(String(row.record)) as T;
  } catch (error) {
    const { record: _, ...key } = row;
    throw new ManifoldError(
      'state',
      `Cannot read the node's store: a record is not JSON (${file}: ${JSON.stringify(key)})`,
      {
        hint: `See all that is wrong in it with "manifold check-state". Drain the node before you remove the record.`,
        cause: error,
      },
    );
  }
}

/** All records of the rows, in their order. */
export const recordsOf = <T>(rows: readonly Row[], file: string): T[] =>
  rows.map((row) => recordOf<T>(row, file));
