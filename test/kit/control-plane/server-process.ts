// One server of the control plane as a child process. It dies with the process that started it, even by kill -9: the
// kernel sends it SIGKILL when its parent ends (PR_SET_PDEATHSIG, by setpriv of util-linux).
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 120_000;

export interface ServerCommand {
  readonly file: string;
  readonly argv: readonly string[];
  /** Where stdout and stderr go, appended. */
  readonly log: string;
  /** Says whether it serves. */
  readonly isReady: () => Promise<boolean>;
}

export class ServerProcess implements AsyncDisposable {
  readonly #command: ServerCommand;
  #child: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(command: ServerCommand) {
    this.#command = command;
  }

  /** Undefined while it is stopped. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get log(): string {
    return readFileSync(this.#command.log, 'utf8');
  }

  /** Returns when it serves. @throws Error with the end of its log when it ends before, or does not serve in time */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const { file, argv, log, isReady } = this.#command;
    const fd = openSync(log, 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...argv], { stdio: ['ignore', fd, fd] });
    closeSync(fd);
    this.#child = child;
    let end: string | undefined;
    this.#ended = new Promise<void>((resolve) => {
      const ended = (reason: string): void => {
        end = reason;
        if (this.#child === child) this.#child = undefined;
        resolve();
      };
      child.once('exit', (code, signal) => ended(`it ended (${signal ?? code})`));
      child.once('error', (error) => ended(error.message));
    });
    const deadline = Date.now() + READY_MS;
    while (!(await isReady())) {
      if (end === undefined && Date.now() < deadline) await sleep(25);
      else throw new Error(`Cannot start ${basename(file)}: ${end ?? 'it does not serve'}\n${this.#tail()}`);
    }
  }

  /** By default as a crash does it. Returns when the process is gone. */
  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #tail(): string {
    return this.log.split('\n').slice(-25).join('\n');
  }
}
