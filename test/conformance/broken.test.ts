// The harness proves itself: an honest plugin of each kind passes, and each row is failed by a plugin with that one sin.
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { PluginKind } from './broken/call.ts';
import { BrokenKit } from './broken/kit.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows.ts';
import { runRows } from './run.ts';
import { detectTarget } from './target.ts';

const KINDS: readonly PluginKind[] = ['interface', 'chained', 'ipam'];

/** Groups whose sins an IPAM plugin commits best: it stands alone, and no delegate refuses what it lets pass. */
const IPAM_GROUPS = ['version.', 'env.', 'config.', 'error.'];
const IPAM_ROWS = ['add.parallel', 'check.too-old', 'status.too-old', 'gc.too-old'];

let kit: BrokenKit;
beforeAll(async () => {
  kit = await BrokenKit.make();
});
afterAll(async () => kit[Symbol.asyncDispose]());

describe('an honest plugin', () => {
  const passed = new Set<string>();

  test.each(KINDS)('of the kind %s is recognized and fails no row', async (kind) => {
    const plugin = await kit.plugin(kind, 'none');
    const target = await detectTarget({ plugin, conf: kit.conf(kind), cniPath: [kit.directory] });
    const reports = await runRows(target, ROWS, { jobs: 3 });
    for (const { id, verdict } of reports) if (verdict === 'pass') passed.add(id);
    const failed = reports
      .filter(({ verdict }) => verdict === 'fail')
      .map(({ id, seen }) => `${id}: ${seen}`);
    if (failed.length > 0 || target.kind !== kind || target.exclusive) {
      throw new Error(`taken for ${target.kind}, exclusive ${target.exclusive}; ${failed.join('\n')}`);
    }
  });

  test('passes every row in one kind at least', ({ expect }) => {
    expect(ROWS.map(({ id }) => id).filter((id) => !passed.has(id))).toEqual([]);
  });
});

describe.concurrent('a broken plugin', () => {
  test.for(ROWS)('fails $id', async (row, { expect }) => {
    const kind = kindOfSin(row);
    const [report] = await runRows(await kit.target(kind, row.id), [row]);
    expect(report?.verdict, `${report?.seen}`).toBe('fail');
  });
});

function kindOfSin({ id, kinds }: Row): PluginKind {
  if (IPAM_ROWS.includes(id) || IPAM_GROUPS.some((group) => id.startsWith(group))) return 'ipam';
  const kind = kinds?.[0] ?? 'interface';
  return kind === 'meta' ? 'interface' : kind;
}
