// Starts a program with an exact environment and standard input, and says how it ended.
import { spawn } from 'node:child_process';
import { isObject, type Json } from './json.ts';

export interface Outcome {
  readonly argv: readonly string[];
  /** Exit code; 128 + signal number is not used: a killed program has `undefined`. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

/** Never throws for what the program does; it throws when the program cannot be started at all. */
export async function exec(argv: readonly string[], options: ExecOptions): Promise<Outcome> {
  const [file = '', ...rest] = argv;
  const child = spawn(file, rest, {
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A program that ends without reading its input is no fault: EPIPE is what we expect then.
  child.stdin.on('error', () => {});
  child.on('error', reject);
  child.on('close', (code) => resolve(code ?? undefined));
  child.stdin.end(options.stdin ?? '');
  const timer = setTimeout(() => {
    // The whole group: a plugin that hangs may hang in a delegate.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, options.timeoutMs ?? 30_000);
  try {
    return { argv, exitCode: await promise, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** What went wrong, in one line, for a table. */
export function describe(outcome: Outcome): string {
  const exit = outcome.exitCode === undefined ? 'killed' : `exit ${outcome.exitCode}`;
  const said = outcome.stdout.trim() || outcome.stderr.trim();
  return `${exit}: ${said === '' ? 'no output' : oneLine(said, 200)}`;
}

function oneLine(text: string, limit: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}

/** Standard output as JSON; undefined where it is none, or more than one value. */
export function jsonOf(outcome: Outcome): Json | undefined {
  try {
    return JSON.parse(outcome.stdout) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export interface ReportedError {
  readonly code: number;
  readonly text: string;
}

/** The error that a plugin printed: its code, and msg with details; undefined where it printed none. */
export function errorOf(outcome: Outcome): ReportedError | undefined {
  const json = jsonOf(outcome);
  if (json === undefined || !isObject(json) || typeof json.code !== 'number') return undefined;
  return { code: json.code, text: `${json.msg ?? ''} ${json.details ?? ''}` };
}
