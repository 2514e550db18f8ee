// Two calls for one sandbox at the same time: a runtime that gave up waiting for an ADD deletes, and the ADD still runs.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { expectClean } from '../kit/clean.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { gives, scriptIpam } from '../kit/script-ipam.ts';

let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
  node.addPod('a');
});
afterEach(() => node.close());

/** A plugin whose ADD, and whose DEL, goes on only when its gate is opened. What it attaches is a file. */
function gated(type: string) {
  const [log, gates, effects] = ['log', 'gate', 'effect'].map((name) =>
    join(node.directory, `${type}-${name}`),
  );
  const file = join(node.binDir, type);
  writeFileSync(
    file,
    `#!/bin/sh
cat > /dev/null
echo "$CNI_COMMAND begins" >> ${log}
while test -e ${gates}-$CNI_COMMAND; do sleep 0.05; done
case "$CNI_COMMAND" in
ADD) touch ${effects}-$CNI_IFNAME; printf '%s' '{"cniVersion":"1.1.0","interfaces":[{"name":"'$CNI_IFNAME'"}]}' ;;
DEL) rm -f ${effects}-$CNI_IFNAME ;;
esac
echo "$CNI_COMMAND ends" >> ${log}
`,
  );
  chmodSync(file, 0o755);
  const calls = () => (existsSync(`${log}`) ? readFileSync(`${log}`, 'utf8').trim().split('\n') : []);
  return {
    calls,
    shut: (verb: 'ADD' | 'DEL') => writeFileSync(`${gates}-${verb}`, ''),
    open: (verb: 'ADD' | 'DEL') => rmSync(`${gates}-${verb}`),
    until: async (line: string) => {
      while (!calls().includes(line)) await sleep(20);
    },
    effects: () => readdirSync(node.directory).filter((name) => name.startsWith(`${type}-effect`)),
  };
}

test('DEL while the ADD of the sandbox runs waits for its end, and nothing of either is left', async () => {
  const slow = gated('slow');
  slow.shut('ADD');
  node.define('default', 'slow', { cniVersion: '1.1.0', type: 'slow' });
  const adding = node.manifoldCall('ADD', 'a', { networks: `${node.defineRails(1)}, slow, rail0@x` });
  await slow.until('ADD begins');
  const deleting = node.manifoldCall('DEL', 'a');
  // Long enough for a DEL that does not wait to be through.
  await Promise.race([deleting, sleep(1000)]);
  slow.open('ADD');
  const [added, deleted] = await Promise.all([adding, deleting]);
  expect([added.code, deleted.code]).toEqual([0, 0]);
  expect(slow.calls()).toEqual(['ADD begins', 'ADD ends', 'DEL begins', 'DEL ends']);
  expect(slow.effects()).toEqual([]);
  expect(node.interfaces('a')).toEqual([]);
  expectClean(node);
});

test('DEL does not wait for an ADD that was killed, whose plugin still runs', async () => {
  const slow = gated('slow');
  slow.shut('ADD');
  node.define('default', 'slow', { cniVersion: '1.1.0', type: 'slow' });
  let pid = 0;
  const adding = node.manifoldCall('ADD', 'a', {
    networks: `${node.defineRails(1)}, slow`,
    spawned: (one) => {
      pid = one;
    },
  });
  await slow.until('ADD begins');
  process.kill(pid, 'SIGKILL');
  expect(await node.manifoldCall('DEL', 'a')).toMatchObject({ code: 0 });
  slow.open('ADD');
  await adding;
  expect(node.interfaces('a')).toEqual([]);
  expectClean(node);
});

test('ADD while the DEL of the sandbox runs is refused, and the DEL takes nothing of the next one', async () => {
  const slow = gated('slow');
  node.define('default', 'slow', { cniVersion: '1.1.0', type: 'slow' });
  const networks = `slow, ${node.defineRails(1)}`;
  expect(await node.manifoldCall('ADD', 'a', { networks })).toMatchObject({ code: 0 });
  slow.shut('DEL');
  const deleting = node.manifoldCall('DEL', 'a');
  await slow.until('DEL begins');
  const refused = await node.manifoldCall('ADD', 'a', { networks });
  expect(refused).toMatchObject({
    code: 1,
    json: { code: 11, msg: expect.stringMatching(/process \d+ is detaching it right now$/) },
  });
  slow.open('DEL');
  expect(await deleting).toMatchObject({ code: 0 });
  expect(node.interfaces('a')).toEqual([]);
  expectClean(node);
  expect(await node.manifoldCall('ADD', 'a', { networks })).toMatchObject({ code: 0 });
  expect(await node.manifoldCall('DEL', 'a')).toMatchObject({ code: 0 });
  expectClean(node);
});

test('macvlan by itself: DEL while its ADD waits for IPAM leaves nothing of either', async () => {
  const gate = join(node.directory, 'gate');
  writeFileSync(gate, '');
  const ipam = scriptIpam(
    node,
    'slow-ipam',
    `while test -e ${gate}; do sleep 0.05; done; ${gives('[{"address":"10.7.0.2/24"}]')}`,
  );
  const conf = {
    cniVersion: '1.1.0',
    name: 'rail0',
    type: 'macvlan',
    master: 'nic0',
    ipam: { type: ipam.type },
    manifold: node.manifold,
  };
  const call = (verb: 'ADD' | 'DEL') =>
    node.call('macvlan', verb, conf, { pod: 'a', env: { CNI_PATH: ipam.path } });
  const adding = call('ADD');
  while (!ipam.calls().includes('ADD')) await sleep(20);
  const deleting = call('DEL');
  await Promise.race([deleting, sleep(1000)]);
  rmSync(gate);
  const [, deleted] = await Promise.all([adding, deleting]);
  expect(deleted).toMatchObject({ code: 0 });
  expect(node.interfaces('a')).toEqual([]);
  expect(ipam.calls().at(-1)).toBe('DEL');
  expectClean(node);
});
