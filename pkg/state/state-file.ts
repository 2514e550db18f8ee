// state.db: how it is made, opened, and written in transactions. What is in it, the tables know.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { ManifoldError } from '../errors/manifold-error.ts';
import { isThere } from './file-kind.ts';
import { makeStateFile } from './make-state-file.ts';
import { emptyDatabase, readCopy } from './read-copy.ts';
import { upgrade } from './schema.ts';
import { type Doing, errnoOf, sqliteCode, stateError } from './state-error.ts';

export type Row = Record<string, SQLOutputValue>;

/**
 * Above this size the write-ahead log is folded into the file by whoever commits next. Each start of SQLite reads
 * the log whole, and processes that end without closing never shorten it by themselves.
 */
const LONGEST_LOG_BYTES = 1_000_000;

/**
 * How long a process waits for the transactions of others before it gives up with 'try-later': in all, so that a DEL
 * that needs the store twice does not wait twice. The budget is whole again once the lock is had without waiting.
 */
const BUSY_TIMEOUT_MS = 10_000;
/** What is left for each wait when the budget is used up. */
const LEAST_WAIT_MS = 100;
/** A transaction that begins within this has not waited. */
const PROMPT_MS = 5;

interface StateFileOptions {
  readonly busyTimeoutMs?: number;
  readonly readOnlyBecause?: unknown;
}

export class StateFile {
  readonly path: string;
  /** Why nothing can be written: a copy or nothing at all is read in place of the file. */
  readonly readOnlyBecause: unknown;
  readonly #budgetMs: number;
  #leftMs: number;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  constructor(path: string, db: DatabaseSync, options: StateFileOptions) {
    this.path = path;
    this.readOnlyBecause = options.readOnlyBecause;
    this.#budgetMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
    this.#leftMs = this.#budgetMs;
    this.#db = db;
  }

  /** Rows as they come out of SQLite; not to be held over another statement. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#saying('read', () => this.#prepared(sql).all(...values));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#saying('read', () => this.#prepared(sql).get(...values));
  }

  /** One row after the other, as they are asked for. */
  *each(sql: string, ...values: SQLInputValue[]): Generator<Row> {
    // Not from the cache: a statement that is being read cannot be begun again.
    const rows = this.#saying('read', () => this.#db.prepare(sql).iterate(...values));
    try {
      for (;;) {
        const next = this.#saying('read', () => rows.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // Left early, it would keep its read transaction open.
      rows.return?.();
    }
  }

  /** Writes; in a transaction of its own unless one is open. */
  run(sql: string, ...values: SQLInputValue[]): void {
    // One statement is whole by itself: inside a transaction it needs no savepoint.
    if (this.#depth > 0) this.#saying('write', () => this.#prepared(sql).run(...values));
    else this.transaction(() => this.#prepared(sql).run(...values));
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return this.#nested(work);
    if (this.readOnlyBecause !== undefined) throw this.readOnlyBecause;
    const value = this.#saying('write', () => {
      this.#begin();
      return this.#within(work, 'COMMIT', 'ROLLBACK');
    });
    this.#foldLongLog();
    return value;
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #begin(): void {
    const from = process.hrtime.bigint();
    try {
      this.#db.exec('BEGIN IMMEDIATE');
    } finally {
      const waitedMs = Number(process.hrtime.bigint() - from) / 1e6;
      const least = Math.min(LEAST_WAIT_MS, this.#budgetMs);
      const leftMs =
        waitedMs < PROMPT_MS ? this.#budgetMs : Math.max(least, Math.round(this.#leftMs - waitedMs));
      if (leftMs !== this.#leftMs) {
        this.#leftMs = leftMs;
        this.#waitAtMost(leftMs);
      }
    }
  }

  #waitAtMost(ms: number): void {
    this.#db.exec(`PRAGMA busy_timeout = ${ms}`);
  }

  #nested<T>(work: () => T): T {
    const name = `s${this.#depth}`;
    return this.#saying('write', () => {
      this.#db.exec(`SAVEPOINT ${name}`);
      return this.#within(work, `RELEASE ${name}`, `ROLLBACK TO ${name}; RELEASE ${name}`);
    });
  }

  #within<T>(work: () => T, done: string, undo: string): T {
    this.#depth++;
    try {
      const value = work();
      if (value instanceof Promise)
        throw new ManifoldError(
          'internal',
          'Cannot commit to the store: a transaction must not wait (promise)',
        );
      this.#db.exec(done);
      return value;
    } catch (error) {
      // A full disk ends the transaction inside SQLite: then there is nothing left to roll back.
      if (this.#db.isTransaction) this.#db.exec(undo);
      throw error;
    } finally {
      this.#depth--;
    }
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #saying<T>(doing: Doing, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw stateError(doing, this.path, error);
    }
  }

  #foldLongLog(): void {
    if ((statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0) < LONGEST_LOG_BYTES) return;
    try {
      this.#waitAtMost(0);
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      // Committed already; whoever comes next folds it. A checkpoint that meets others reports, and does not throw.
      if (sqliteCode(error) === undefined) throw error;
    } finally {
      this.#waitAtMost(this.#leftMs);
    }
  }
}

/**
 * Opens state.db in a directory, and makes both where they are missing. Where nothing can be written (read-only or
 * full file system), what was recorded can still be read.
 * @throws ManifoldError 'state', 'try-later'
 */
export function openStateFile(directory: string, busyTimeoutMs = BUSY_TIMEOUT_MS): StateFile {
  const path = join(directory, 'state.db');
  try {
    if (!isThere(path)) makeStateFile(directory, path);
  } catch (error) {
    const translated = stateError('open', path, error);
    if (!cannotWrite(error)) throw translated;
    return new StateFile(path, emptyDatabase(), { readOnlyBecause: translated });
  }
  try {
    return new StateFile(path, openWritable(path, busyTimeoutMs), { busyTimeoutMs });
  } catch (error) {
    const translated = stateError('open', path, error);
    if (!cannotWrite(error)) throw translated;
    const copy = readable(path);
    if (copy === undefined) throw translated;
    return new StateFile(path, copy, { readOnlyBecause: translated });
  }
}

function readable(path: string): DatabaseSync | undefined {
  try {
    const copy = readCopy(path);
    if (copy !== undefined) upgrade(copy, path);
    return copy;
  } catch (error) {
    throw stateError('read', path, error);
  }
}

function openWritable(path: string, timeout: number): DatabaseSync {
  const db = new DatabaseSync(path, { timeout });
  try {
    // NORMAL: a commit is not flushed, so that power loss may undo the last ones (the sandboxes they speak of are
    // gone then too) but cannot damage the file. The log is folded by #foldLongLog alone.
    db.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0');
    upgrade(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Read-only and full file systems: reading must go on. */
function cannotWrite(error: unknown): boolean {
  const sqlite = sqliteCode(error);
  if (sqlite !== undefined) return [8, 10, 13, 14].includes(sqlite & 0xff);
  return ['EROFS', 'ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}
