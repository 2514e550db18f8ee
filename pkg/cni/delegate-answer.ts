// What a plugin that we called has answered: a result, or its error with its name before it and its code kept.
import { ManifoldError, type ManifoldErrorOptions } from '../errors/manifold-error.ts';
import type { Answer } from './call.ts';
import type { ExecEnd, ExecOutcome } from './exec-plugin.ts';
import { isJsonObject } from './network-config.ts';
import type { JsonObject, Verb } from './plugin.ts';
import { readResult } from './read-result.ts';
import type { CniResult } from './result.ts';
import type { CniVersion } from './versions.ts';

export interface DelegateCall {
  readonly verb: Verb;
  readonly type: string;
  /** Of the configuration that the plugin was given: a result without cniVersion has this one. */
  readonly cniVersion: CniVersion;
}

/**
 * The result of a call; empty for every verb but ADD.
 * @throws ManifoldError 'delegate', with the plugin's own code in `cniCode` where it gave one
 */
export function resultOf(call: DelegateCall, answer: Answer): CniResult {
  if (answer.exitCode !== 0) throw errorOf(call, answer.output ?? {});
  if (call.verb !== 'ADD') return {};
  try {
    return readResult(answer.output, call.cniVersion, 'result');
  } catch (error) {
    if (!(error instanceof ManifoldError)) throw error;
    throw failure(
      call,
      `its result is not valid: ${error.message}`,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
}

/**
 * The answer in what a program printed and how it ended.
 * @throws ManifoldError 'delegate' when it gave none
 */
export function answerOf(call: DelegateCall, outcome: ExecOutcome): Answer {
  const { end, stdout } = outcome;
  const tail = outcome.stderr.trim() === '' ? {} : { hint: `its standard error: ${outcome.stderr.trim()}` };
  if (end.by !== 'exit') throw failure(call, reasonOf(end), tail);
  const output = parsed(stdout);
  if (end.code === 0) {
    if (call.verb !== 'ADD' || output !== undefined) return { exitCode: 0, output };
    throw failure(call, `it ended well but printed no result (${shown(stdout)})`, tail);
  }
  if (output !== undefined && (typeof output.msg === 'string' || typeof output.code === 'number')) {
    return { exitCode: 1, output };
  }
  throw failure(call, `it ended with exit code ${end.code} and no CNI error (${shown(stdout)})`, tail);
}

function errorOf(call: DelegateCall, { code, msg, details }: JsonObject): ManifoldError {
  const said = typeof msg === 'string' && msg !== '' ? msg : 'it gave no message';
  return failure(call, said, {
    ...(typeof details === 'string' && details !== '' ? { hint: details } : {}),
    // 0 is no error code, and a number that is none would make our own answer unreadable.
    ...(typeof code === 'number' && Number.isInteger(code) && code > 0 ? { cniCode: code } : {}),
  });
}

function failure(call: DelegateCall, reason: string, options: ManifoldErrorOptions): ManifoldError {
  return new ManifoldError(
    'delegate',
    `Cannot run ${call.verb} of plugin '${call.type}': ${reason}`,
    options,
  );
}

function reasonOf(end: Exclude<ExecEnd, { by: 'exit' }>): string {
  switch (end.by) {
    case 'signal':
      return `it was killed by a signal (${end.signal})`;
    case 'timeout':
      return `it did not end in time and was killed (${end.afterMs} ms)`;
    case 'flood':
      return `it printed too much and was killed (more than ${end.bytes} bytes)`;
  }
  return end satisfies never;
}

function parsed(stdout: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(stdout);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function shown(stdout: string): string {
  const text = stdout.trim();
  if (text === '') return 'nothing on standard output';
  return `printed: ${JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)}`;
}
