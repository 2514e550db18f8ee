// Finds a plugin's executable in CNI_PATH and runs it, bounded in time and output. What it printed means something
// in delegate-answer.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError } from '../errors/manifold-error.ts';
import type { ExecGuard } from './call.ts';
import type { Environment } from './environment.ts';
import { isErrno } from './errno.ts';

const MAX_STDOUT_BYTES = 4 * 1024 * 1024;
const KEPT_STDERR_CHARS = 4096;
/** How long what a plugin left running may hold its output open after the plugin itself has ended. */
const LINGER_MS = 1000;
const BUSY_RETRIES = 20;
const BUSY_PAUSE_MS = 100;

export interface ExecRequest {
  readonly env: Environment;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** Its descriptor is inherited, as the first after standard error. */
  readonly guard?: Pick<ExecGuard, 'fd' | 'started'>;
  /** In our own process group, where whoever has exec'ed us can kill both; else in one of its own. @default false */
  readonly nested?: boolean;
}

export type ExecEnd =
  | { readonly by: 'exit'; readonly code: number }
  | { readonly by: 'signal'; readonly signal: string }
  | { readonly by: 'timeout'; readonly afterMs: number }
  | { readonly by: 'flood'; readonly bytes: number };

export interface ExecOutcome {
  readonly end: ExecEnd;
  readonly stdout: string;
  /** The last 4 KiB of it. */
  readonly stderr: string;
}

/**
 * The executable of a type: the first regular file of that name in these directories.
 * @throws ManifoldError 'not-found' when none has it, or it may not be executed
 */
export function findPlugin(type: string, path: readonly string[]): string {
  const file = path
    .map((directory) => join(directory, type))
    .find((one) => statSync(one, NO_THROW)?.isFile());
  if (file === undefined) {
    throw new ManifoldError(
      'not-found',
      `Cannot find plugin '${type}': no such file in CNI_PATH (${path.join(':')})`,
      {
        hint: `install the plugin in one of these directories, or correct "type": "${type}" in the network configuration`,
      },
    );
  }
  try {
    accessSync(file, constants.X_OK);
  } catch (error) {
    if (!isErrno(error, 'EACCES')) throw error;
    throw new ManifoldError(
      'not-found',
      `Cannot run plugin '${type}': the file is not executable (${file})`,
      {
        hint: `chmod 755 ${file}`,
      },
    );
  }
  return file;
}

const NO_THROW = { throwIfNoEntry: false } as const;

/**
 * Runs a plugin to its end.
 * @throws ManifoldError 'delegate' when it cannot be started
 */
export async function execPlugin(file: string, request: ExecRequest): Promise<ExecOutcome> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run(file, request);
    } catch (error) {
      // Somebody writes the file at this moment: an upgrade.
      if (isErrno(error, 'ETXTBSY') && attempt < BUSY_RETRIES) {
        await sleep(BUSY_PAUSE_MS);
        continue;
      }
      const reason = error instanceof Error ? error.message : String(error);
      throw new ManifoldError('delegate', `Cannot start plugin ${file}: ${reason}`, {
        cause: error,
        hint: 'is it an executable for this machine, and is its interpreter there?',
      });
    }
  }
}

function run(file: string, request: ExecRequest): Promise<ExecOutcome> {
  return new Promise((resolve, reject) => {
    const { guard, timeoutMs, nested = false } = request;
    // A process group of its own, so that whatever the plugin starts can be killed with it.
    const child = spawn(file, [], {
      env: { ...request.env },
      stdio: ['pipe', 'pipe', 'pipe', ...(guard === undefined ? [] : [guard.fd])],
      detached: !nested,
    });
    if (child.pid !== undefined) guard?.started(child.pid);
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let forced: ExecEnd | undefined;
    const stop = (end: ExecEnd): void => {
      forced ??= end;
      if (nested) child.kill('SIGKILL');
      else killGroup(child);
    };
    const timer = setTimeout(() => stop({ by: 'timeout', afterMs: timeoutMs }), timeoutMs);
    child.stdout?.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes > MAX_STDOUT_BYTES) stop({ by: 'flood', bytes: MAX_STDOUT_BYTES });
      else stdout.push(chunk);
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-KEPT_STDERR_CHARS);
    });
    // A plugin need not read its input (EPIPE), and that alone is no failure.
    child.stdin?.on('error', () => undefined);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('exit', () => {
      // A grandchild may hold the pipes for ever; the plugin's own word is complete.
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, LINGER_MS).unref();
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const end: ExecEnd = signal === null ? { by: 'exit', code: code ?? 0 } : { by: 'signal', signal };
      resolve({ end: forced ?? end, stdout: Buffer.concat(stdout).toString(), stderr });
    });
    child.stdin?.end(request.stdin);
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has just ended by itself.
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
