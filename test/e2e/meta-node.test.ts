// The verbs that are about the node, and what goes wrong on a node: STATUS, GC, a store that cannot be written.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linksToReap } from '../../meta/reap.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { expectClean } from '../kit/clean.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { DIST_BIN, ip } from '../kit/test-node.ts';

let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
  for (const pod of ['a', 'b']) node.addPod(pod);
});
afterEach(() => node.close());

const add = async (pod: string, networks?: string) => {
  expect(await node.manifoldCall('ADD', pod, networks === undefined ? {} : { networks })).toMatchObject({
    code: 0,
  });
};
const del = async (pod: string) => expect(await node.manifoldCall('DEL', pod)).toMatchObject({ code: 0 });

/** A foreign plugin in CNI_PATH that writes down its calls, and answers as the shell text says. */
function foreign(
  type: string,
  answer: string,
): () => { command: string; stdin: Record<string, unknown>; env: Record<string, string> }[] {
  const log = join(node.directory, `${type}.log`);
  const file = join(node.binDir, type);
  writeFileSync(
    file,
    `#!/bin/sh\ninput=$(cat)\nprintf '%s\\n' "$CNI_COMMAND|$CNI_IFNAME|$CNI_ARGS|$CNI_PATH|$input" >> ${log}\n${answer}\n`,
  );
  chmodSync(file, 0o755);
  return () =>
    readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const [command = '', ifname = '', args = '', path = '', ...rest] = line.split('|');
        return { command, stdin: JSON.parse(rest.join('|')), env: { ifname, args, path } };
      });
}
const SUCCEEDS = `test "$CNI_COMMAND" = ADD && printf '%s' '{"cniVersion":"1.1.0","interfaces":[{"name":"'$CNI_IFNAME'"}]}'; exit 0`;

describe('STATUS', () => {
  test('is well when the networks of every pod can be served', async () => {
    expect(await node.nodeCall('STATUS')).toMatchObject({ code: 0, stdout: '' });
  });

  test.each([
    [
      'the master is missing',
      { delegates: [{ cniVersion: '1.1.0', name: 'x', type: 'macvlan', master: 'no-nic' }] },
      50,
      'no-nic',
    ],
    [
      'a plugin is missing',
      { delegates: [{ cniVersion: '1.1.0', name: 'x', type: 'no-such-plugin' }] },
      50,
      "plugin 'no-such-plugin'",
    ],
    [
      'an IPAM plugin is missing',
      { delegates: [{ cniVersion: '1.0.0', name: 'x', type: 'macvlan', ipam: { type: 'no-such-ipam' } }] },
      50,
      "plugin 'no-such-ipam'",
    ],
    [
      'the default network is not installed',
      { clusterNetwork: '/nowhere' },
      50,
      'nothing is named "/nowhere"',
    ],
    [
      'the request of the configuration is wrong',
      { manifold: { networks: 'a/b/c' } },
      50,
      'more than one "/"',
    ],
    ['a key of another mode is set', { kubeconfig: '/etc/kubernetes/admin.conf' }, 2, 'kubeconfig'],
  ])('fails when %s', async (_name, conf, code, reason) => {
    const failed = await node.nodeCall('STATUS', conf);
    expect(failed).toMatchObject({ code: 1, json: { code, msg: expect.stringContaining(reason) } });
  });

  test('fails when the directory of definitions is none, and only warns of a broken definition', async () => {
    writeFileSync(join(node.networksDir, 'broken.yaml'), 'a: [');
    const warned = await node.nodeCall('STATUS');
    expect(warned.code).toBe(0);
    expect(warned.stderr).toContain(`${node.networksDir}/broken.yaml: is not YAML`);
    const file = join(node.directory, 'file');
    writeFileSync(file, '');
    const failed = await node.nodeCall('STATUS', { manifold: { networksDir: file } });
    expect(failed).toMatchObject({
      code: 1,
      json: { code: 50, msg: expect.stringContaining(`Cannot list ${file}`) },
    });
  });

  test('fails when a network of the configuration is defined in no namespace, and names it and the directory', async () => {
    node.define('tenant', 'rail0', node.macvlan({ range: '10.2.0.0/24' }));
    const asking = (networks: string) => node.nodeCall('STATUS', { manifold: { networks } });
    expect(await asking('rail0')).toMatchObject({ code: 0, stdout: '' });
    expect(await asking('rail0, rail7')).toMatchObject({
      code: 1,
      json: {
        code: 50,
        msg: `Cannot attach any pod to network default/rail7: it is not defined in ${node.networksDir}`,
      },
    });
    expect(await asking('default/rail0')).toMatchObject({ code: 1, json: { code: 50 } });
  });

  test('asks the plugins of the networks of the configuration, and looks at what is asked of them', async () => {
    node.define('default', 'rail0', { ...node.macvlan({ range: '10.2.0.0/24' }), master: 'no-nic' });
    node.define('default', 'rail1', { cniVersion: '1.1.0', type: 'no-such-plugin' });
    node.define('default', 'rail2', { cniVersion: '1.1.0', type: 'macvlan', master: 'nic0' });
    node.define('default', 'loop', { cniVersion: '1.1.0', type: 'macvlan', ipam: { type: 'manifold' } });
    for (const [networks, reason] of [
      ['rail0', 'no-nic'],
      ['rail1', "plugin 'no-such-plugin'"],
      [[{ name: 'rail2', mac: '02:00:00:00:00:01' }], 'it asks for mac, which no plugin'],
      ['rail2@x, rail2@x', 'the interface name x is taken'],
      ['loop', 'it would call manifold again'],
    ] as const) {
      const failed = await node.nodeCall('STATUS', { manifold: { networks } });
      expect(failed).toMatchObject({ code: 1, json: { code: 50, msg: expect.stringContaining(reason) } });
    }
  });

  test('passes on the code of a foreign plugin', async () => {
    foreign('sick', `printf '%s' '{"cniVersion":"1.1.0","code":51,"msg":"the link flaps"}'; exit 1`);
    const failed = await node.nodeCall('STATUS', {
      delegates: [{ cniVersion: '1.1.0', name: 'x', type: 'sick' }],
    });
    expect(failed).toMatchObject({
      code: 1,
      json: { code: 51, msg: expect.stringContaining('the link flaps') },
    });
  });
});

describe('GC', () => {
  const valid = (...ids: string[]) => ({
    'cni.dev/valid-attachments': ids.map((id) => ({ containerID: id, ifname: 'eth0' })),
  });

  test('keeps what is valid in every network, and frees the rest', async () => {
    const networks = node.defineRails(2);
    await add('a', networks);
    const added = await node.manifoldCall('ADD', 'b', { networks });
    expect(await node.nodeCall('GC', valid('c-b'))).toMatchObject({ code: 0, stdout: '' });
    expect(node.interfaces('a')).toEqual([]);
    expect(node.interfaces('b')).toEqual(['eth0', 'net1', 'net2']);
    expect(node.journal().map((record) => record.containerId)).toEqual(['c-b', 'c-b', 'c-b']);
    expect(node.leased()).toEqual(['10.1.0.3 held', '10.2.0.2 held', '10.2.1.2 held']);
    expect(await node.manifoldCall('CHECK', 'b', { conf: { prevResult: added.json } })).toMatchObject({
      code: 0,
    });
    await del('b');
    expectClean(node);
  });

  test('frees all of a namespace that is gone, also where the definitions are gone', async () => {
    await add('a', node.defineRails(2));
    node.removePod('a');
    rmSync(node.networksDir, { recursive: true });
    expect(await node.nodeCall('GC', valid())).toMatchObject({ code: 0 });
    expectClean(node);
  });

  test('tells each plugin of each network what is valid there, under its own interface names', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    node.define('default', 'far', { cniVersion: '1.1.0', type: 'foreign' });
    await add('a', 'far@x, far@y');
    await add('b', 'far@z');
    expect(await node.nodeCall('GC', valid('c-a'))).toMatchObject({ code: 0 });
    const collected = calls().filter((call) => call.command === 'GC');
    expect(collected).toHaveLength(1);
    expect(collected[0]?.stdin['cni.dev/valid-attachments']).toEqual([
      { containerID: 'c-a', ifname: 'x' },
      { containerID: 'c-a', ifname: 'y' },
    ]);
    expect(
      calls()
        .filter((call) => call.command === 'DEL')
        .map((call) => call.env.ifname),
    ).toEqual(['z']);
    await del('a');
  });

  test('asks the plugins of the networks of the configuration too, in whichever namespace they are defined', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    for (const namespace of ['default', 'tenant'])
      node.define(namespace, 'far', { cniVersion: '1.1.0', name: `far-${namespace}`, type: 'foreign' });
    const conf = { manifold: { networks: 'far, far@x, unknown' }, ...valid('c-a') };
    expect(await node.manifoldCall('ADD', 'a', { conf: { manifold: { networks: 'far' } } })).toMatchObject({
      code: 0,
    });
    const collected = await node.nodeCall('GC', conf);
    expect(collected).toMatchObject({ code: 0 });
    expect(collected.stderr).toContain('to network default/unknown');
    const named = calls().filter((call) => call.command === 'GC');
    expect(named.map(({ stdin }) => [stdin.name, stdin['cni.dev/valid-attachments']])).toEqual([
      ['far-default', [{ containerID: 'c-a', ifname: 'net1' }]],
      ['far-tenant', []],
    ]);
    await del('a');
    expectClean(node);
  });

  test('sweeps the cache of results: what is valid or recorded stays, and networks of other tools', async () => {
    await add('a');
    const results = join(node.cniDir, 'results');
    const [name = ''] = readdirSync(results);
    const entry: object = JSON.parse(readFileSync(join(results, name), 'utf8'));
    const left = (network: string, containerId: string) =>
      writeFileSync(
        join(results, `${network}-${containerId}-eth0`),
        JSON.stringify({ ...entry, networkName: network, containerId }),
      );
    left('cluster', 'c-gone');
    left('cluster', 'c-valid');
    left('podman', 'c-other');
    expect(await node.nodeCall('GC', valid('c-a', 'c-valid'))).toMatchObject({ code: 0 });
    expect(readdirSync(results).sort()).toEqual([
      'cluster-c-a-eth0',
      'cluster-c-valid-eth0',
      'podman-c-other-eth0',
    ]);
    await del('a');
  });

  test('takes nothing from a sandbox that another tool attached', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    node.define('default', 'far', { cniVersion: '1.1.0', type: 'foreign' });
    await add('a', 'far');
    expect(await node.nodeCall('GC', valid('c-a', 'stranger'))).toMatchObject({ code: 0 });
    expect(calls().map((call) => call.command)).toEqual(['ADD']);
    await del('a');
  });
});

describe('a foreign delegate', () => {
  test('is given what the specification says, the configured directory first, and no argument of ours', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    node.define('default', 'far', {
      cniVersion: '1.0.0',
      plugins: [{ type: 'foreign', capabilities: { ips: true } }, { type: 'foreign' }],
    });
    const networks = JSON.stringify([{ name: 'far', ips: ['10.9.0.1/24'], 'cni-args': { color: 'blue' } }]);
    const conf = {
      binDir: node.binDir,
      runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 1 }] },
    };
    expect(
      await node.manifoldCall('ADD', 'a', { networks, conf, env: { CNI_PATH: DIST_BIN } }),
    ).toMatchObject({ code: 0 });
    const [first, second] = calls();
    expect(first?.stdin).toEqual({
      cniVersion: '1.0.0',
      name: 'far',
      type: 'foreign',
      args: { cni: { color: 'blue' } },
      runtimeConfig: { ips: ['10.9.0.1/24'] },
    });
    expect(second?.stdin).toMatchObject({ prevResult: { interfaces: [{ name: 'net1' }] } });
    expect(first?.env).toEqual({
      ifname: 'net1',
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a;K8S_POD_UID=uid-a',
      path: `${node.binDir}:${DIST_BIN}`,
    });
    expect(await node.manifoldCall('DEL', 'a', { conf, env: { CNI_PATH: DIST_BIN } })).toMatchObject({
      code: 0,
    });
    expect(calls().map((call) => call.command)).toEqual(['ADD', 'ADD', 'DEL', 'DEL']);
    expectClean(node);
  });

  test('that fails is told with its network, its text and its code, and DEL is called on all that ran', async () => {
    const calls = foreign(
      'foreign',
      `test "$CNI_COMMAND" = ADD && { printf '%s' '{"cniVersion":"1.0.0","code":111,"msg":"no cable","details":"plug it in"}'; exit 1; }; exit 0`,
    );
    node.define('default', 'far', { cniVersion: '1.0.0', type: 'foreign' });
    const failed = await node.manifoldCall('ADD', 'a', { networks: 'far' });
    expect(failed).toMatchObject({
      code: 1,
      json: { code: 111, details: expect.stringContaining('plug it in') },
    });
    expect(failed.json.msg).toBe(
      "Cannot attach pod default/a to network default/far (net1): Cannot run ADD of plugin 'foreign': no cable",
    );
    expect(calls().map((call) => call.command)).toEqual(['ADD', 'DEL']);
    expectClean(node);
  });

  test('that fails to delete does not keep the others, is told, and is tried again by the next DEL (NPWG 7.2)', async () => {
    const flag = join(node.directory, 'broken');
    foreign(
      'foreign',
      `test "$CNI_COMMAND" = DEL -a -e ${flag} && { printf '%s' '{"cniVersion":"1.1.0","code":11,"msg":"busy"}'; exit 1; }\n${SUCCEEDS}`,
    );
    node.define('default', 'far', { cniVersion: '1.1.0', type: 'foreign' });
    await add('a', `far, ${node.defineRails(1)}`);
    writeFileSync(flag, '');
    const failed = await node.manifoldCall('DEL', 'a');
    expect(failed).toMatchObject({
      code: 1,
      json: { code: 11, msg: expect.stringContaining('network default/far (net1)') },
    });
    expect(node.interfaces('a')).toEqual([]);
    expect(node.journal()).toMatchObject([{ ifname: 'net1', state: 'deleting' }]);
    rmSync(flag);
    await del('a');
    expectClean(node);
  });

  test('is attached in the order asked, and detached in reverse', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    node.define('default', 'far', { cniVersion: '1.1.0', type: 'foreign' });
    await add('a', 'far@x, far@y, far@z');
    await del('a');
    expect(calls().map(({ command, env }) => `${command} ${env.ifname}`)).toEqual([
      'ADD x',
      'ADD y',
      'ADD z',
      'DEL z',
      'DEL y',
      'DEL x',
    ]);
  });

  test('as the default network goes on from what plugins before manifold have made', async () => {
    const calls = foreign('foreign', SUCCEEDS);
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'before', sandbox: '/run/netns/x' }] };
    const conf = { delegates: [{ cniVersion: '1.1.0', name: 'far', type: 'foreign' }], prevResult };
    expect(await node.manifoldCall('ADD', 'a', { conf })).toMatchObject({ code: 0 });
    expect(calls()[0]?.stdin).toMatchObject({ prevResult });
    await del('a');
  });

  test('that is manifold under another name is refused, not called', async () => {
    symlinkSync(join(DIST_BIN, 'manifold'), join(node.binDir, 'other-name'));
    node.define('default', 'loop', { cniVersion: '1.1.0', type: 'other-name' });
    const failed = await node.manifoldCall('ADD', 'a', { networks: 'loop' });
    expect(failed).toMatchObject({
      code: 1,
      json: { msg: expect.stringContaining('it would call manifold again') },
    });
  });
});

test('the default network is found in the directory where the file of manifold itself comes first', async () => {
  const confDir = join(node.directory, 'net.d');
  mkdirSync(confDir);
  const conf = { clusterNetwork: confDir, confDir };
  writeFileSync(join(confDir, '00-manifold.conf'), JSON.stringify({ name: 'pods', type: 'manifold' }));
  writeFileSync(join(confDir, '10-cluster.conf'), JSON.stringify(node.delegates[0]));
  writeFileSync(
    join(confDir, '20-far.conf'),
    JSON.stringify({ ...node.macvlan({ range: '10.7.0.0/24' }), name: 'far' }),
  );
  node.define('default', 'far');
  expect(await node.manifoldCall('ADD', 'a', { conf, networks: 'far' })).toMatchObject({ code: 0 });
  expect(node.addresses('a')).toEqual(['eth0 10.1.0.2/24', 'net1 10.7.0.1/24']);
  expect(await node.manifoldCall('DEL', 'a', { conf })).toMatchObject({ code: 0 });
  expectClean(node);
});

describe('an older sandbox of the same pod', () => {
  test('whose namespace is gone is cleared by the ADD of the new one', async () => {
    const networks = node.defineRails(1);
    await add('a', networks);
    node.removePod('a');
    expect(await node.manifoldCall('ADD', 'b', { uid: 'uid-a', networks })).toMatchObject({ code: 0 });
    expect(node.journal().map((record) => record.containerId)).toEqual(['c-b', 'c-b']);
    expect(node.addresses('b')).toEqual(['eth0 10.1.0.2/24', 'net1 10.2.0.1/24']);
    expect(await node.manifoldCall('DEL', 'b', { uid: 'uid-a' })).toMatchObject({ code: 0 });
    expectClean(node);
  });
});

describe('a store that cannot be written', () => {
  const mount = (...words: string[]) => execFileSync('mount', words);
  let mounted: string[] = [];
  afterEach(() => {
    for (const path of mounted.reverse()) execFileSync('umount', [path]);
    mounted = [];
  });

  test('read-only: ADD fails with a clear error and leaves nothing, DEL takes everything away', async () => {
    const networks = node.defineRails(1);
    await add('a', networks);
    mount('--bind', node.stateDir, node.stateDir);
    mounted.push(node.stateDir);
    mount('-o', 'remount,bind,ro', node.stateDir);
    const failed = await node.manifoldCall('ADD', 'b', { networks });
    expect(failed).toMatchObject({ code: 1, json: { msg: expect.stringContaining(node.stateDir) } });
    expect(node.interfaces('b')).toEqual([]);
    await del('a');
    expect(node.interfaces('a')).toEqual([]);
    execFileSync('umount', [node.stateDir]);
    mounted = [];
    expectClean(node);
  });

  test('damaged: ADD says what to do, DEL takes the interfaces away by the cache of libcni', async () => {
    await add('a', node.defineRails(2));
    writeFileSync(join(node.stateDir, 'state.db'), 'not a database'.repeat(1000));
    for (const name of ['state.db-wal', 'state.db-shm']) rmSync(join(node.stateDir, name), { force: true });
    const failed = await node.manifoldCall('ADD', 'b');
    expect(failed.code).toBe(1);
    expect(failed.json.msg).toContain('state.db');
    await del('a');
    expect(node.interfaces('a')).toEqual([]);
  });

  test('disk full: ADD fails with a clear error and leaves nothing, DEL takes everything away', async () => {
    const networks = node.defineRails(1);
    mkdirSync(node.stateDir);
    mount('-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', node.stateDir);
    mounted.push(node.stateDir);
    await add('a', networks);
    const filler = join(node.stateDir, 'filler');
    expect(() =>
      execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { stdio: 'ignore' }),
    ).toThrow();
    const failed = await node.manifoldCall('ADD', 'b', { networks });
    expect(failed.code).toBe(1);
    expect(failed.json.msg).toContain(node.stateDir);
    expect(node.interfaces('b')).toEqual([]);
    await del('a');
    expect(node.interfaces('a')).toEqual([]);
    rmSync(filler);
    expectClean(node);
  });
});

describe('links that are deleted together', () => {
  const toReap = () => {
    const pod = createKernel().open(node.netnsPath('a'));
    try {
      return node
        .read((store) => linksToReap(store, store.attachments.ofContainer('c-a'), pod))
        .sort((a, b) => a - b);
    } finally {
      pod.close();
    }
  };
  const indexes = () =>
    node
      .links('a')
      .map((link) => link.ifindex)
      .sort((a, b) => a - b);

  test('are all that our own plugins made in the pod', async () => {
    await add('a', node.defineRails(3));
    expect(toReap()).toEqual(indexes());
    await del('a');
    expectClean(node);
  });

  test('are none that the pod has renamed, that another made under the name, or that later plugins of a list may want', async () => {
    node.define('default', 'chain', {
      cniVersion: '1.0.0',
      plugins: [node.macvlan({ range: '10.8.0.0/24' }), { type: 'foreign' }],
    });
    foreign('foreign', SUCCEEDS);
    await add('a', `${node.defineRails(2)}, chain`);
    const [eth0, net1] = indexes();
    node.podIp('a', 'link', 'set', 'net1', 'down');
    node.podIp('a', 'link', 'set', 'net1', 'name', 'mine');
    node.podIp('a', 'link', 'del', 'net2');
    ip('link', 'add', 'net2', 'netns', `${node.name}-a`, 'type', 'bridge');
    expect(toReap()).toEqual([eth0]);
    expect(node.links('a').find((link) => link.ifname === 'mine')?.ifindex).toBe(net1);
    await del('a');
    expect(node.interfaces('a')).toEqual(['net2']);
    expectClean(node);
  });
});
