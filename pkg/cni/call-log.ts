// The log of one call: standard error, and the file that the configuration names.
import { appendFileSync } from 'node:fs';
import { createLogger, type Logger, type LogLevel } from '../log/logger.ts';

export interface LogOptions {
  readonly logLevel: LogLevel;
  readonly logFile?: string | undefined;
}

/** A log file that cannot be written is no reason to leave a pod without its network: said once, then let be. */
export function openLog(options: LogOptions, stderr: (text: string) => void): Logger {
  const { logLevel: level, logFile } = options;
  if (logFile === undefined) return createLogger({ level, sink: stderr });
  let usable = true;
  const sink = (line: string): void => {
    stderr(line);
    if (!usable) return;
    try {
      appendFileSync(logFile, line, { mode: 0o600 });
    } catch (error) {
      usable = false;
      const reason = error instanceof Error ? error.message : String(error);
      createLogger({ level, sink: stderr }).warn('log file not written', { logFile, reason });
    }
  };
  return createLogger({ level, sink });
}
