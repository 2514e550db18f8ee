// check-state holds what the store says is attached against the namespaces of the node.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { AttachedWorld } from '../kit/attached-world.ts';
import { DIST_BIN } from '../kit/test-node.ts';

let world: AttachedWorld;
beforeEach(() => {
  world = new AttachedWorld('macvlan');
});
afterEach(() => world.close());

async function leftovers(): Promise<string[]> {
  const { stateDir, runDir } = world.node;
  const words = ['check-state', '--state-dir', stateDir, '--run-dir', runDir];
  const { code, stdout } = await world.node.command([join(DIST_BIN, 'manifold'), ...words]);
  expect(code).toBe(0);
  return stdout.match(/^leftover: .*$/gm) ?? [];
}

test('an interface that was deleted behind its back is named, until DEL has been called', async () => {
  expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
  expect(await leftovers()).toEqual([]);
  world.node.podIp('a', 'link', 'set', 'net1', 'name', 'mine');
  expect(await leftovers()).toEqual([]);
  world.node.podIp('a', 'link', 'del', 'mine');
  expect(await leftovers()).toEqual([
    `leftover: Interface net1 of pod team/trainer, network rail, is not in its namespace ${world.node.netnsPath('a')} any more.`,
  ]);
  expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
  expect(await leftovers()).toEqual([]);
});

test('nothing is said of a device of a user-space driver, nor of a namespace that is gone or another by now', async () => {
  expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
  const store = openNodeStore(world.node.stateDir);
  const [record] = store.interfaces.all();
  if (record === undefined) throw new Error('ADD left no record');
  world.node.podIp('a', 'link', 'del', 'net1');
  for (const change of [{ saved: { outside: true } }, { netns: '/run/netns/none' }, { netnsId: '1:1' }]) {
    store.interfaces.put({ ...record, ...change });
    expect(await leftovers()).toEqual([]);
  }
  store.interfaces.put(record);
  store.close();
  expect(await leftovers()).toHaveLength(1);
  expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
});
