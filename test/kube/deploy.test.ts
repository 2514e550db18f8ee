// deploy/ as a whole, by the command that its README gives.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALL_MANIFESTS, readManifests } from '../kit/control-plane/apply-manifests.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');

test('every file is one that kubectl applies, and the tests know them all', () => {
  const files = readdirSync(DEPLOY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'README.md')
    .map(({ parentPath, name }) => join(parentPath, name).slice(DEPLOY.length + 1));
  expect(files.sort()).toEqual([...ALL_MANIFESTS]);
});

test('kubectl apply -R -f deploy/ makes all of it, and a second time changes nothing', async () => {
  const cluster = await sharedCluster();
  const apply = async () => (await cluster.kubectl('apply', '-R', '-f', DEPLOY)).trimEnd().split('\n');
  const results = (lines: readonly string[]) => new Set(lines.map((line) => line.split(' ').at(-1)));
  const first = await apply();
  expect(first).toHaveLength(readManifests(ALL_MANIFESTS).length);
  expect(results(first)).toEqual(new Set(['created']));
  expect(results(await apply())).toEqual(new Set(['unchanged']));
});
