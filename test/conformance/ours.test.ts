// The harness on our own plugins, in both forms: every row passes, none is allowed to fail.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { DIST_BIN, NODE } from '../kit/test-node.ts';
import type { JsonObject } from './json.ts';
import type { Kind } from './row.ts';
import { ROWS } from './rows.ts';
import { runRows } from './run.ts';
import { detectTarget } from './target.ts';

const DIST_JS = join(DIST_BIN, '../js');
const manifold = { stateDir: '@TMP@/state', runDir: '@TMP@/run', networksDir: '@TMP@' };
const ipam = {
  type: 'manifold-ipam',
  range: '10.88.0.0/29',
  routes: [{ dst: '0.0.0.0/0' }],
  gateway: '10.88.0.1',
};

interface OurCase {
  readonly type: string;
  readonly kind: Kind;
  readonly conf: JsonObject;
  /** What the harness cannot see from the configuration: the parent of a delegate. */
  readonly setup?: string;
}

const CASES: readonly OurCase[] = [
  { type: 'macvlan', kind: 'interface', conf: { master: 'cnf-up', ipam } },
  { type: 'host-device', kind: 'interface', conf: { device: 'cnf-up', ipam } },
  { type: 'manifold-ipam', kind: 'ipam', conf: { ipam } },
  {
    type: 'manifold',
    kind: 'meta',
    setup: 'ip link add cnf-up type veth peer name cnf-w; ip link set cnf-up up; ip link set cnf-w up',
    conf: { delegates: [{ cniVersion: '1.1.0', name: 'default', type: 'macvlan', master: 'cnf-up', ipam }] },
  },
];

/** The scripts under the names that a runtime execs, run by the pinned Node. */
const scripts = mkdtempSync(join(tmpdir(), 'manifold-js-'));
for (const { type } of CASES) {
  const file = join(scripts, type);
  writeFileSync(file, `#!/bin/sh\nexec ${NODE.join(' ')} ${join(DIST_JS, `${type}.cjs`)}\n`);
  chmodSync(file, 0o755);
}
afterAll(() => rmSync(scripts, { recursive: true }));

const forms = [
  ['executables', DIST_BIN],
  ['scripts', scripts],
] as const;

describe.each(forms)('our %s', (_, directory) => {
  test.for(CASES)(
    '$type passes every row',
    { timeout: 300_000 },
    async ({ type, kind, conf, setup }, { expect }) => {
      const whole = { cniVersion: '1.1.0', name: 'ours', type, manifold, ...conf };
      const target = await detectTarget({
        plugin: join(directory, type),
        conf: whole,
        cniPath: [directory],
        kind,
        setup,
      });
      const reports = await runRows(target, ROWS, { allow: {} });
      expect(
        reports.filter(({ verdict }) => verdict === 'fail').map(({ id, seen }) => `${id}: ${seen}`),
      ).toEqual([]);
      expect(reports.filter(({ verdict }) => verdict === 'pass').length).toBeGreaterThan(60);
    },
  );
});
