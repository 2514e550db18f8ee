// What the kernel says, since the last time it was asked.
import { constants, openSync, readSync } from 'node:fs';

export class KernelMessages {
  // Each read gives one record, from the oldest on; at the end it would wait.
  readonly #fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  readonly #record = Buffer.alloc(8192);

  /** "[   12.345678] igb 0000:01:00.0: …" */
  take(): string[] {
    const messages: string[] = [];
    for (let line = this.#next(); line !== undefined; line = this.#next()) messages.push(line);
    return messages;
  }

  /** One record of Documentation/ABI/testing/dev-kmsg: "level,sequence,microseconds,…;text". */
  #next(): string | undefined {
    try {
      const length = readSync(this.#fd, this.#record);
      const [head = '', text = ''] = this.#record.toString('utf8', 0, length).split(/;(.*)/s);
      const seconds = (Number(head.split(',')[2]) / 1e6).toFixed(6).padStart(12);
      return `[${seconds}] ${text.split('\n')[0]}`;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EAGAIN') return undefined;
      // Overwritten before it was read: the next read goes on with the oldest that is left.
      if (code === 'EPIPE') return '(messages lost)';
      throw error;
    }
  }
}
