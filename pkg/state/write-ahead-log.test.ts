import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { foldLog } from './write-ahead-log.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-wal-'));
});
afterEach(() => rmSync(root, { recursive: true }));

type Rows = Record<string, unknown>[];
const rowsOf = (db: DatabaseSync): Rows =>
  db.prepare('SELECT k, hex(v) AS v FROM t ORDER BY k').all() as Rows;

const step = fc.oneof(
  fc.record({ do: fc.constant('write'), k: fc.nat(40), size: fc.nat(9000) }),
  fc.record({ do: fc.constant('many'), k: fc.nat(40), size: fc.nat(3000) }),
  fc.record({ do: fc.constant('remove'), k: fc.nat(40), size: fc.constant(0) }),
  fc.record({ do: fc.constant('shrink'), k: fc.constant(0), size: fc.constant(0) }),
  fc.record({ do: fc.constant('checkpoint'), k: fc.constant(0), size: fc.constant(0) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function carryOut(db: DatabaseSync, { do: what, k, size }: Step): void {
  const put = (key: number) =>
    db.prepare('INSERT OR REPLACE INTO t VALUES (?, randomblob(?))').run(key, size);
  if (what === 'write') put(k);
  else if (what === 'remove') db.prepare('DELETE FROM t WHERE k = ?').run(k);
  else if (what === 'shrink') db.exec('DELETE FROM t; VACUUM');
  else if (what === 'checkpoint') db.exec('PRAGMA wal_checkpoint(RESTART)');
  else {
    db.exec('BEGIN');
    for (let i = 0; i < 10; i++) put(k + i);
    db.exec('COMMIT');
  }
}

interface Written {
  readonly file: Buffer;
  readonly log: Buffer;
  readonly rows: Rows;
}

function written(steps: readonly Step[]): Written {
  const path = join(mkdtempSync(join(root, 'db-')), 'a.db');
  const db = new DatabaseSync(path);
  db.exec(
    'CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB); PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0',
  );
  for (const one of steps) carryOut(db, one);
  db.prepare('DELETE FROM t WHERE k = -1').run();
  const found = { file: readFileSync(path), log: readFileSync(`${path}-wal`), rows: rowsOf(db) };
  db.close();
  return found;
}

function readByUs(file: Buffer, log: Buffer): Rows {
  const bytes = foldLog(new Uint8Array(file), log);
  bytes.set([1, 1], 18);
  const db = new DatabaseSync(':memory:');
  db.deserialize(bytes);
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  const rows = rowsOf(db);
  db.close();
  return rows;
}

function readBySqlite(file: Buffer, log: Buffer): Rows {
  const path = join(mkdtempSync(join(root, 'db-')), 'a.db');
  writeFileSync(path, file);
  writeFileSync(`${path}-wal`, log);
  const db = new DatabaseSync(path);
  const rows = rowsOf(db);
  db.close();
  return rows;
}

test('whatever was written and folded in before, every committed row is read', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const { file, log, rows } = written(steps);
      expect(readByUs(file, log)).toEqual(rows);
    }),
    { numRuns: 25 },
  );
});

test('wherever the log is cut off or scribbled on, what SQLite reads is read', () => {
  const noCheckpoint = step.filter((one) => one.do !== 'checkpoint');
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(noCheckpoint, { maxLength: 8 }), place, fc.boolean(), (steps, part, scribble) => {
      const { file, log } = written(steps);
      const at = Math.min(log.length - 1, Math.floor(log.length * part));
      if (scribble) log[at] = (log[at] ?? 0) ^ 0x55;
      const left = scribble ? log : log.subarray(0, at);
      expect(readByUs(file, left)).toEqual(readBySqlite(file, left));
    }),
    { numRuns: 25 },
  );
});

test('no log, and one of zeros, change nothing', () => {
  const { file } = written([]);
  for (const log of [new Uint8Array(), new Uint8Array(5000)])
    expect(foldLog(new Uint8Array(file), log)).toEqual(new Uint8Array(file));
});
