// What valibot found wrong, as sentences that name the key by its path, all in one error.
import type { BaseIssue } from 'valibot';
import { ManifoldError } from '../errors/manifold-error.ts';

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Path of the key: "ipam.ranges[0].subnet"; empty for the whole. */
  readonly key: string;
  readonly text: string;
}

/** The problems of a failed parse, in the order of the keys. `within` is put before each key. */
export function problemsOf(issues: readonly BaseIssue<unknown>[], within = ''): Problem[] {
  const problems = new Map<string, Problem>();
  for (const issue of issues) {
    const key = keyOf(issue, within);
    if (!problems.has(key)) problems.set(key, { key, text: sentence(key, ruleOf(issue), issue.input) });
  }
  return [...problems.values()];
}

/** How many problems one error names. */
const MAX_NAMED = 20;

/** One error for all problems of one configuration: the first is the message, the others the hint. */
export function configError(problems: readonly Problem[]): ManifoldError {
  const [first, ...rest] = problems.slice(0, MAX_NAMED).map((problem) => problem.text);
  if (problems.length > MAX_NAMED) rest.push(`and ${problems.length - MAX_NAMED} more`);
  const message = first ?? 'Cannot use the network configuration: it is not valid';
  return new ManifoldError('bad-config', message, rest.length === 0 ? {} : { hint: rest.join('; ') });
}

/** The sentence for one bad value; `rule` begins with its verb: "must be …". */
export function sentence(key: string, rule: string, value: unknown): string {
  const object = key === '' ? 'the network configuration' : `'${key}'`;
  if (value === undefined) return `Cannot use ${object} as it ${rule}: it is missing`;
  return `Cannot use ${object} as it ${rule}: current value is ${shown(key, value)}`;
}

function shown(key: string, value: unknown): string {
  if (/secret|token|passw|credential|private/i.test(key)) return 'not shown';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function keyOf(issue: BaseIssue<unknown>, within: string): string {
  let key = within;
  for (const step of issue.path ?? []) {
    if (typeof step.key === 'number') key += `[${step.key}]`;
    else key += key === '' ? String(step.key) : `.${String(step.key)}`;
  }
  return key;
}

/** A schema's own message is a rule already; of valibot's default ones only the facts are used. */
function ruleOf(issue: BaseIssue<unknown>): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  // A key that is missing is reported as: expected "name", received undefined.
  if (issue.input === undefined) return 'must be set';
  const expected = issue.expected;
  if (issue.type === 'integer') return 'must be an integer';
  if (issue.type === 'non_empty') return 'must not be empty';
  if (expected === null) return `must be a valid ${issue.type.replaceAll('_', ' ')}`;
  if (issue.type.endsWith('_length')) return `must have a length ${inWords(expected)}`;
  if (issue.type.endsWith('_value')) return `must be ${inWords(expected)}`;
  if (issue.type === 'regex') return `must match ${expected}`;
  const choices = expected.replace(/^\((.*)\)$/, '$1').split(' | ');
  const names = choices.map((choice) => NOUNS[choice] ?? choice);
  return `must be ${names.length > 1 && choices.every((one) => one.startsWith('"')) ? 'one of ' : ''}${listed(names)}`;
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  Array: 'a list',
  Object: 'an object',
};

function inWords(expected: string): string {
  return expected
    .replace(/^>=/, 'of at least ')
    .replace(/^<=/, 'of at most ')
    .replace(/^>/, 'above ')
    .replace(/^</, 'below ')
    .replace(/^!/, 'other than ');
}

function listed(names: readonly string[]): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
