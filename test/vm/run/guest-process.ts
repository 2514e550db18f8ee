// QEMU as a child process: it dies with the process that started it, and speaks through inherited sockets, not files.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { CONSOLE_FD, EVENTS_FD, OUTPUT_FD } from '../machine/qemu-command.ts';

export interface GuestEnd {
  /** "exit code 0", "SIGKILL", or why it could not start. */
  readonly how: string;
}

export class GuestProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<GuestEnd>;
  #console = '';
  #output = '';

  /** @param command file and arguments @param onEvent each line of the events port */
  constructor(command: readonly string[], onEvent: (line: string) => void) {
    // The kernel sends SIGKILL when the parent ends (PR_SET_PDEATHSIG).
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve({ how: signal ?? `exit code ${code}` }));
      this.#child.once('error', (error) => resolve({ how: error.message }));
    });
    this.#read(CONSOLE_FD, (text) => {
      this.#console += text;
    });
    for (const fd of [1, 2, OUTPUT_FD])
      this.#read(fd, (text) => {
        this.#output += text;
      });
    let rest = '';
    this.#read(EVENTS_FD, (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onEvent(line);
    });
  }

  /** The last lines of the guest's console: what the kernel says when it dies. */
  get console(): string[] {
    return lastLines(this.#console);
  }

  /** The last lines that Node in the guest and QEMU have written. */
  get output(): string[] {
    return lastLines(this.#output);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  #read(fd: number, take: (text: string) => void): void {
    const stream = this.#child.stdio[fd] as Readable;
    stream.setEncoding('utf8');
    stream.on('data', take);
    // A socket whose other end is killed: `ended` tells.
    stream.on('error', () => undefined);
  }
}

function lastLines(text: string): string[] {
  return text.replaceAll('\r', '').trimEnd().split('\n').slice(-60);
}
