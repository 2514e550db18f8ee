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

export const NODE_NAME_RULE =
  'must be a name that a Node can have: lower-case letters, digits, "-" and "." (RFC 1123), at most 253 characters';

/** RFC 1123: labels that neither begin nor end with "-". */
export const isNodeName = (name: string): boolean =>
  name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);

/** Of a Node object. */
export function nodeName() {
  return pipe(string(NODE_NAME_RULE), check(isNodeName, NODE_NAME_RULE));
}

/** A path that begins at the root. */
export function absolutePath() {
  const rule = 'must be an absolute path';
  return pipe(
    string(rule),
    check((path) => path.startsWith('/') && !path.includes('\0'), rule),
  );
}
