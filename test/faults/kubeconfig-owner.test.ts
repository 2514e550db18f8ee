// Needs root: who may have written a kubeconfig is told by its owner.
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';

const directory = mkdtempSync(join(tmpdir(), 'manifold-owner-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const NOBODY = 65_534;
const SECRETS = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };

/** What would send the node's own token to a server of the tenant's choice. */
const THEIRS = JSON.stringify({
  apiVersion: 'v1',
  'current-context': 'x',
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
  users: [{ name: 'u', user: { tokenFile: '/etc/shadow' } }],
});

test.each([
  ['the file', (path: string) => chownSync(path, NOBODY, 0), /it is not root's, but that of user 65534/],
  [
    'its directory',
    (path: string) => chownSync(join(path, '..'), NOBODY, 0),
    /its directory .* is not root's/,
  ],
])("a client of a plugin uses no kubeconfig where %s is not root's", async (_, give, reason) => {
  const own = mkdtempSync(join(directory, 'own-'));
  mkdirSync(join(own, 'conf'));
  const path = join(own, 'conf', 'kubeconfig');
  writeFileSync(path, THEIRS);
  give(path);
  const asked = openKubeClient(path).get(SECRETS, 'a', { namespace: 'b' });
  await expect(asked).rejects.toMatchObject({
    reason: 'Credentials',
    message: expect.stringMatching(reason),
  });
});
