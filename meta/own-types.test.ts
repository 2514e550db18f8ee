import { copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeFiles } from './files.ts';
import { isOurselves } from './ourselves.ts';
import { ownTypesFor } from './own-types.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-own-'));
  for (const name of ['first', 'second']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'manifold'), 'the executable', { mode: 0o755 });
});
afterEach(() => rmSync(root, { recursive: true }));

const ours = () => join(root, 'manifold');
const place = (directory: string) => join(root, directory, 'whereabouts');

test.each<[string, boolean, () => void]>([
  ['a hard link to the executable', true, () => linkSync(ours(), place('first'))],
  ['a symbolic link to it', true, () => symlinkSync(ours(), place('first'))],
  ['a copy of it', false, () => copyFileSync(ours(), place('first'))],
  ['another file', false, () => writeFileSync(place('first'), 'theirs', { mode: 0o755 })],
  ['nothing', false, () => undefined],
  [
    'another file before it',
    false,
    () => {
      writeFileSync(place('first'), 'theirs', { mode: 0o755 });
      linkSync(ours(), place('second'));
    },
  ],
])('with %s under its name, "whereabouts" is ours: %s', (_, isOurs, put) => {
  put();
  const deps = { ownTypes: new Set(['macvlan']), ownFile: ours(), files: nodeFiles };
  const path = [join(root, 'first'), join(root, 'second')];
  const ownTypes = ownTypesFor(deps, path);
  expect([...ownTypes]).toEqual(isOurs ? ['macvlan', 'whereabouts'] : ['macvlan']);
  // Ours under another name is no call of manifold by itself.
  expect(isOurselves('whereabouts', path, { ...deps, ownTypes })).toBe(false);
});

test('"rdma" is ours by the same rule, whatever "whereabouts" is', () => {
  linkSync(ours(), join(root, 'first', 'rdma'));
  const deps = { ownTypes: new Set(['macvlan']), ownFile: ours(), files: nodeFiles };
  expect([...ownTypesFor(deps, [join(root, 'first')])]).toEqual(['macvlan', 'rdma']);
});
