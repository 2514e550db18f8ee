// The log: one JSON object a line, on stderr or wherever the sink puts it. Never on stdout.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Lines below this level are dropped. @default 'info' */
  readonly level?: LogLevel;
  /** Takes one line, newline included. */
  readonly sink: (line: string) => void;
  readonly now?: () => Date;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Writes lines of the form {"time":"…","level":"warn","event":"…",…fields}. */
export function createLogger(options: LoggerOptions, fields: LogFields = {}): Logger {
  const { level: least = 'info', sink, now = () => new Date() } = options;
  const write = (level: LogLevel) => (event: string, more?: LogFields) => {
    if (RANK[level] < RANK[least]) return;
    sink(`${JSON.stringify({ time: now().toISOString(), level, event, ...fields, ...more })}\n`);
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    with: (more) => createLogger(options, { ...fields, ...more }),
  };
}

/** Drops every line. */
export const silentLogger: Logger = createLogger({ sink: () => undefined });
