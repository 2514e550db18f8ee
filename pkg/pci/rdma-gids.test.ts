import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SysfsTree } from '../../test/kit/sysfs-tree.ts';
import { createSysfs } from './sysfs.ts';

let tree: SysfsTree;
beforeEach(() => {
  tree = new SysfsTree();
});
afterEach(() => tree[Symbol.dispose]());

const EMPTY = '0000:0000:0000:0000:0000:0000:0000:0000';
const gid = (index: number, text: string, attributes: Readonly<Record<string, string>> = {}) => {
  const port = tree.path('class/infiniband/mlx5_2/ports/1');
  const all = {
    gids: text,
    ...Object.fromEntries(Object.entries(attributes).map(([k, t]) => [`gid_attrs/${k}`, t])),
  };
  for (const [directory, value] of Object.entries(all)) {
    mkdirSync(join(port, directory), { recursive: true });
    writeFileSync(join(port, directory, String(index)), `${value}\n`);
  }
};

test('GIDs are in order of their numbers, with type and interface, without empty slots', () => {
  const v4 = '0000:0000:0000:0000:0000:ffff:c000:0201';
  const local = 'fe80:0000:0000:0000:0200:5eff:fe00:5301';
  gid(10, v4, { types: 'RoCE v2', ndevs: 'eth1' });
  gid(2, local, { types: 'IB/RoCE v1', ndevs: 'eth1' });
  gid(3, EMPTY);
  // Of another namespace's interface the kernel tells no name.
  gid(4, local);
  expect(createSysfs(tree.root).rdmaGids('mlx5_2', 1)).toEqual([
    { index: 2, gid: local, type: 'IB/RoCE v1', netdev: 'eth1' },
    { index: 4, gid: local, type: undefined, netdev: undefined },
    { index: 10, gid: v4, type: 'RoCE v2', netdev: 'eth1' },
  ]);
});

test('no device, no port, no name: no GIDs', () => {
  const sysfs = createSysfs(tree.root);
  expect(sysfs.rdmaGids('mlx5_2', 1)).toEqual([]);
  expect(sysfs.rdmaGids('../net/eth0', 1)).toEqual([]);
});
