// The harness on the sriov plugin: with the end of a veth pair for a virtual function, which has no physical one in
// sight, on a sysfs made for the test.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundle } from '../kit/bundle.ts';
import { SysfsTree } from '../kit/sysfs-tree.ts';
import { DIST_BIN, NODE } from '../kit/test-node.ts';
import { ROWS } from './rows.ts';
import { runRows } from './run.ts';
import { detectTarget } from './target.ts';

const VF = '0000:3b:10.4';
const tree = new SysfsTree();
tree.pci(VF, { driver: 'igbvf', netdevs: { 'cnf-up': {} } });
const directory = mkdtempSync(join(tmpdir(), 'manifold-sriov-'));
afterAll(() => {
  tree[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

test('sriov passes every row', { timeout: 300_000 }, async () => {
  const file = bundle(join(import.meta.dirname, '../kit/tree-entry.ts'), directory);
  const plugin = join(directory, 'sriov');
  writeFileSync(plugin, `#!/bin/sh\nexec ${NODE.join(' ')} ${file} ${tree.root}\n`);
  chmodSync(plugin, 0o755);
  const target = await detectTarget({
    plugin,
    kind: 'interface',
    cniPath: [DIST_BIN],
    conf: {
      ...{ cniVersion: '1.1.0', name: 'ours', type: 'sriov', deviceID: VF },
      // No key of the plugin's: the harness makes the interface that is called so.
      device: 'cnf-up',
      ipam: {
        type: 'manifold-ipam',
        range: '10.88.0.0/29',
        routes: [{ dst: '0.0.0.0/0' }],
        gateway: '10.88.0.1',
      },
      manifold: { stateDir: '@TMP@/state', runDir: '@TMP@/run' },
    },
  });
  const reports = await runRows(target, ROWS, { allow: {} });
  expect(reports.filter(({ verdict }) => verdict === 'fail').map(({ id, seen }) => `${id}: ${seen}`)).toEqual(
    [],
  );
  expect(reports.filter(({ verdict }) => verdict === 'pass').length).toBeGreaterThan(60);
});
