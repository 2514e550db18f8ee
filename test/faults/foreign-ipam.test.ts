// Our macvlan with an IPAM plugin of others (Debian's host-local) dies at each step: host-local knows no owner but
// container and interface, and refuses the same pair twice.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { type CrashProgram, crashProgram } from '../kit/crash-program.ts';
import { debianPlugins } from '../kit/reference-plugins.ts';
import { DIST_BIN, TestNode } from '../kit/test-node.ts';

let crashing: CrashProgram;
beforeAll(() => {
  crashing = crashProgram();
});
afterAll(() => crashing[Symbol.dispose]());

const path = `${debianPlugins()}:${DIST_BIN}`;
const args = 'IgnoreUnknown=1;K8S_POD_UID=uid-1';
const STEPS = 20;

function world() {
  const node = new TestNode();
  node.addNic('eth0');
  for (const pod of ['a', 'b']) node.addPod(pod);
  const dataDir = join(node.directory, 'host-local');
  const conf: JsonObject = {
    cniVersion: '1.0.0',
    name: 'rail',
    type: 'macvlan',
    master: 'eth0',
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.30.0.0/24' }]], dataDir },
    manifold: node.manifold,
  };
  const call = (verb: 'ADD' | 'DEL', pod: string, killAt?: number) =>
    node.call('macvlan', verb, conf, {
      pod,
      args,
      env: { CNI_PATH: path, ...(killAt === undefined ? {} : { MANIFOLD_TEST_KILL_AT: String(killAt) }) },
      ...(killAt === undefined ? {} : { command: crashing.command('macvlan') }),
    });
  const held = () => {
    const directory = join(dataDir, 'rail');
    return existsSync(directory) ? readdirSync(directory).filter((name) => name.startsWith('10.')) : [];
  };
  return { node, call, held };
}

test.each(['a', 'b'])(
  'ADD is killed at each step, then ADD in sandbox %s: it works, and nothing leaks in the end',
  async (next) => {
    let kills = 0;
    for (let at = 1; at <= STEPS; at++) {
      const { node, call, held } = world();
      try {
        const outcome = await call('ADD', 'a', at);
        if (outcome.signal === null) break;
        kills++;
        const again = await call('ADD', next);
        if (again.code !== 0) expect(again.json.msg).toContain('already');
        expect(held().length).toBeLessThanOrEqual(next === 'a' ? 1 : 2);
        for (const pod of ['a', 'b']) expect(await call('DEL', pod)).toMatchObject({ code: 0 });
        expect(held()).toEqual([]);
        for (const pod of ['a', 'b']) expect(node.links(pod)).toEqual([]);
        expectClean(node);
      } finally {
        node.close();
      }
    }
    expect(kills).toBeGreaterThan(3);
  },
);
