// The harness on plugins that others wrote: they pass, but for the rows that reference-confs.ts names with the reason.
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { debianPlugins, goPlugins } from '../kit/reference-plugins.ts';
import { REFERENCE_CASES } from './reference-confs.ts';
import { ROWS } from './rows.ts';
import { runRows } from './run.ts';
import { detectTarget } from './target.ts';

const go = await goPlugins();
const origins = [
  ['Debian', debianPlugins()] as const,
  ...(go === undefined ? [] : [['v1.9.1', go] as const]),
];

describe.each(origins)('the reference plugins of %s', (_, directory) => {
  test.for(REFERENCE_CASES)('$type fails just the rows that are known', async (known, { expect }) => {
    const plugin = join(directory, known.type);
    const target = await detectTarget({ plugin, conf: known.conf, cniPath: [directory] });
    const later = target.newest === '1.1.0' ? known.allowOneOne : (known.allowOld ?? {});
    const allow = { ...known.allow, ...later };
    const reports = await runRows(target, ROWS, { allow });

    expect(target.kind).toBe(known.kind);
    expect(
      reports.filter(({ verdict }) => verdict === 'fail').map(({ id, seen }) => `${id}: ${seen}`),
    ).toEqual([]);
    expect(Object.keys(allow).filter((id) => !ROWS.some((row) => row.id === id))).toEqual([]);
    const refuted = reports.filter(({ id, verdict }) => id in allow && verdict !== 'allowed');
    expect(refuted.map(({ id, verdict }) => `${id} is allowed to fail: ${verdict}`)).toEqual([]);
  });
});
