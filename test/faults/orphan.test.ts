// A process of ours dies while a plugin that it has exec'ed still runs: the next call for that container ends the plugin
// first, so that nothing of it comes after the call that was to undo it.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { DIST_BIN } from '../kit/test-node.ts';

const SLOW_SECONDS = 2;

let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
  node.addPod('a');
});
afterEach(() => node.close());

const file = (name: string) => join(node.directory, name);
const log = (): string[] =>
  existsSync(file('log')) ? readFileSync(file('log'), 'utf8').trim().split('\n') : [];

function script(name: string, text: string): void {
  const path = join(node.binDir, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** ADD takes its time and then has an effect; DEL undoes that effect. */
function slowPlugin(name: string): void {
  script(
    name,
    `cat > /dev/null
echo "$CNI_COMMAND start" >> ${file('log')}
case "$CNI_COMMAND" in
ADD) sleep ${SLOW_SECONDS}; touch ${file('effect')} ;;
DEL) rm -f ${file('effect')} ;;
esac
echo "$CNI_COMMAND done" >> ${file('log')}
printf '%s' '{"cniVersion":"1.1.0","ips":[{"address":"10.9.0.5/24"}]}'`,
  );
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 500) throw new Error(`it never came: ${log().join(', ')}`);
    await sleep(20);
  }
}

/** Kills the call in the middle of the slow ADD. */
async function killedAdd(conf: JsonObject): Promise<void> {
  let pid = 0;
  const adding = node.manifoldCall('ADD', 'a', {
    conf,
    spawned: (started) => {
      pid = started;
    },
  });
  await until(() => log().includes('ADD start'));
  process.kill(pid, 'SIGKILL');
  // Not its end: the plugin has inherited the pipe, and the test would wait for it.
  void adding;
}

const locks = (): string[] => readdirSync(join(node.runDir, 'calls'));

const AS_DELEGATE: JsonObject = { delegates: [{ cniVersion: '1.1.0', name: 'far', type: 'slow' }] };
const asIpam = (): JsonObject => ({
  delegates: [{ cniVersion: '1.1.0', name: 'far', type: 'macvlan', master: 'nic0', ipam: { type: 'slow' } }],
});

/** A plugin of somebody else's that calls our macvlan as a program of its own. */
function wrapper(before: string): JsonObject {
  const conf = {
    cniVersion: '1.1.0',
    name: 'inner',
    type: 'macvlan',
    master: 'nic0',
    ipam: { type: 'slow' },
    manifold: node.manifold,
  };
  writeFileSync(file('inner.json'), JSON.stringify(conf));
  script('wrapper', `cat > /dev/null; ${before}\n${DIST_BIN}/macvlan < ${file('inner.json')}`);
  return { delegates: [{ cniVersion: '1.1.0', name: 'far', type: 'wrapper' }] };
}

describe('a plugin that outlives a killed ADD is ended before DEL of it', () => {
  test.each([
    ['as a delegate', () => AS_DELEGATE],
    ['as the IPAM plugin of macvlan', asIpam],
    ['as the IPAM plugin of a macvlan that a foreign delegate has called', () => wrapper('')],
  ])('%s', async (_name, confOf) => {
    slowPlugin('slow');
    const conf = confOf();
    await killedAdd(conf);
    const deleted = await node.manifoldCall('DEL', 'a', { conf });
    expect(deleted).toMatchObject({ code: 0, stdout: '' });
    expect(deleted.stderr).toContain('plugin of a killed call is ended');
    expect(node.interfaces('a')).toEqual([]);
    expectClean(node);
    await sleep((SLOW_SECONDS + 1) * 1000);
    expect(log()).toEqual(['ADD start', 'DEL start', 'DEL done']);
    expect(existsSync(file('effect'))).toBe(false);
    expect(locks()).toEqual([]);
  });

  test('also where it has left its process group', async () => {
    slowPlugin('slow-inner');
    script('slow', `exec setsid --wait ${join(node.binDir, 'slow-inner')}`);
    await killedAdd(AS_DELEGATE);
    expect(await node.manifoldCall('DEL', 'a', { conf: AS_DELEGATE })).toMatchObject({ code: 0 });
    await sleep((SLOW_SECONDS + 1) * 1000);
    expect(log()).toEqual(['ADD start', 'DEL start', 'DEL done']);
    expect(locks()).toEqual([]);
  });
});

test('the plugin of a live call is waited for, not killed', async () => {
  slowPlugin('slow');
  const adding = node.manifoldCall('ADD', 'a', { conf: AS_DELEGATE });
  await until(() => log().includes('ADD start'));
  const deleting = node.manifoldCall('DEL', 'a', { conf: AS_DELEGATE });
  expect((await deleting).code).toBe(0);
  expect(log()).toEqual(['ADD start', 'ADD done', 'DEL start', 'DEL done']);
  expect((await adding).code).toBe(0);
  expect(locks()).toEqual([]);
});

test('a plugin of ours that the plugin of a live call has called does not wait for its own caller', async () => {
  slowPlugin('slow');
  const conf = wrapper('unset MANIFOLD_DELEGATE_DEPTH');
  expect(await node.manifoldCall('ADD', 'a', { conf })).toMatchObject({ code: 0 });
  expect(await node.manifoldCall('DEL', 'a', { conf })).toMatchObject({ code: 0 });
  expect(log()).toEqual(['ADD start', 'ADD done', 'DEL start', 'DEL done']);
  expectClean(node);
});

test('what a plugin leaves running on purpose is left running, and in nobody’s way', async () => {
  script(
    'slow',
    `cat > /dev/null
if [ "$CNI_COMMAND" = ADD ]; then sleep 60 > /dev/null 2>&1 & echo $! > ${file('left')}; fi
printf '%s' '{"cniVersion":"1.1.0"}'`,
  );
  expect(await node.manifoldCall('ADD', 'a', { conf: AS_DELEGATE })).toMatchObject({ code: 0 });
  const left = Number(readFileSync(file('left'), 'utf8'));
  try {
    expect(await node.manifoldCall('DEL', 'a', { conf: AS_DELEGATE })).toMatchObject({ code: 0 });
    expect(process.kill(left, 0)).toBe(true);
  } finally {
    process.kill(left, 'SIGKILL');
  }
});

test('a run directory that cannot be written costs the lock, not the attachment', async () => {
  script('slow', `cat > /dev/null; printf '%s' '{"cniVersion":"1.1.0"}'`);
  const conf = { ...AS_DELEGATE, manifold: { runDir: '/proc/no-such-directory', logLevel: 'debug' } };
  const added = await node.manifoldCall('ADD', 'a', { conf });
  expect(added).toMatchObject({ code: 0 });
  expect(added.stderr).toContain('plugin runs without a lock');
  expect(await node.manifoldCall('DEL', 'a', { conf })).toMatchObject({ code: 0 });
});
