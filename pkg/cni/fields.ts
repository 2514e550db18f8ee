// Small schemas for configuration keys, with messages that read after "Cannot use 'key' as it …".
import {
  boolean,
  check,
  integer,
  maxValue,
  minValue,
  nonEmpty,
  number,
  picklist,
  pipe,
  string,
} from 'valibot';

/** An integer of this range, both ends included. */
export function integerFrom(least: number, most: number) {
  const rule = `must be an integer from ${least} to ${most}`;
  return pipe(number(rule), integer(rule), minValue(least, rule), maxValue(most, rule));
}

/** One of these strings. */
export function oneOf<const T extends readonly [string, ...string[]]>(choices: T) {
  return picklist(choices, `must be one of ${choices.map((one) => JSON.stringify(one)).join(', ')}`);
}

export function flag() {
  return boolean('must be true or false');
}

/** A string that is not empty. */
export function text() {
  return pipe(string('must be a string'), nonEmpty('must not be empty'));
}

/** A path that begins at the root. */
export function absolutePath() {
  const rule = 'must be an absolute path';
  return pipe(
    string(rule),
    check((path) => path.startsWith('/') && !path.includes('\0'), rule),
  );
}
