// Records to and from the JSON that the tables keep.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { RawRow } from './node-store.ts';
import { misshapen } from './record-shape.ts';
import type { Row } from './state-file.ts';

/** A record whose JSON and shape are right, or what is wrong with it: "is not JSON", "has a wrong shape: …". */
export type Reading =
  | { readonly record: Readonly<Record<string, unknown>>; readonly wrong?: never }
  | { readonly record?: never; readonly wrong: string; readonly cause?: unknown };

export function readRecord(table: RawRow['table'], text: string): Reading {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (cause) {
    return { wrong: 'is not JSON', cause };
  }
  const wrong = misshapen(table, record);
  if (wrong !== undefined) return { wrong: `has a wrong shape: ${wrong}` };
  return { record: record as Record<string, unknown> };
}

/** The record of a row. @throws ManifoldError 'state' when it is not JSON, or not of its table's shape */
export function recordOf<T>(row: Row, table: RawRow['table'], file: string): T {
  const reading = readRecord(table, String(row.record));
  if (reading.wrong !== undefined) throw unreadable(row, file, reading.wrong, reading.cause);
  return reading.record as T;
}

/** All records of the rows, in their order. */
export const recordsOf = <T>(rows: readonly Row[], table: RawRow['table'], file: string): T[] =>
  rows.map((row) => recordOf<T>(row, table, file));

function unreadable({ record: _, ...key }: Row, file: string, reason: string, cause: unknown) {
  return new ManifoldError(
    'state',
    `Cannot read the node's store: a record ${reason} (${file}: ${JSON.stringify(key)})`,
    {
      hint: 'See all that is wrong in it with "manifold check-state". Drain the node, then let "manifold check-state --remove-broken" remove such records.',
      cause,
    },
  );
}
