import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { CHECK_VERSIONS, VERSIONS } from '../kit/versions.ts';

let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
  node.addPod('a');
});
afterEach(() => {
  try {
    expectClean(node);
  } finally {
    node.close();
  }
});

const del = async (pod = 'a', options = {}) => {
  expect(await node.manifoldCall('DEL', pod, options)).toMatchObject({ code: 0, stdout: '' });
};

describe.each(VERSIONS)('CNI %s', (cniVersion) => {
  test('a pod gets its default network and what it asks for, in order, and the result is the default network', async () => {
    const networks = node.defineRails(2);
    node.delegates = [{ ...node.delegates[0], cniVersion }];
    const added = await node.manifoldCall('ADD', 'a', {
      networks: `${networks}, rail0@gpu`,
      conf: { cniVersion },
    });
    expect(added).toMatchObject({ code: 0, json: { cniVersion } });
    expect(node.interfaces('a')).toEqual(['eth0', 'net1', 'net2', 'gpu']);
    expect(node.addresses('a')).toEqual([
      'eth0 10.1.0.2/24',
      'net1 10.2.0.1/24',
      'net2 10.2.1.1/24',
      'gpu 10.2.0.2/24',
    ]);
    if (cniVersion.startsWith('0.1') || cniVersion.startsWith('0.2'))
      expect(added.json).toMatchObject({ ip4: { ip: '10.1.0.2/24' } });
    else
      expect(added.json).toMatchObject({ interfaces: [{ name: 'eth0' }], ips: [{ address: '10.1.0.2/24' }] });
    expect(node.journal()).toMatchObject([
      { ifname: 'eth0', network: 'cluster', state: 'added', position: 0 },
      { ifname: 'net1', network: 'default/rail0', state: 'added' },
      { ifname: 'net2', network: 'default/rail1', state: 'added' },
      { ifname: 'gpu', network: 'default/rail0', state: 'added' },
    ]);
    await del();
    expect(node.interfaces('a')).toEqual([]);
  });
});

test.each(CHECK_VERSIONS)(
  'CHECK, CNI %s, looks at every network, not at the default one alone',
  async (cniVersion) => {
    const networks = node.defineRails(2);
    const added = await node.manifoldCall('ADD', 'a', { networks, conf: { cniVersion } });
    const check = () => node.manifoldCall('CHECK', 'a', { conf: { cniVersion, prevResult: added.json } });
    expect(await check()).toMatchObject({ code: 0, stdout: '' });
    node.podIp('a', 'addr', 'del', '10.2.1.1/24', 'dev', 'net2');
    const failed = await check();
    expect(failed.code).toBe(1);
    expect(failed.json.msg).toContain('Cannot confirm network default/rail1 (net2) of pod default/a');
    expect(failed.json.msg).toContain('10.2.1.1');
    await del();
  },
);

test('CHECK of what was never added says so', async () => {
  const failed = await node.manifoldCall('CHECK', 'a', { conf: { prevResult: { cniVersion: '1.1.0' } } });
  expect(failed).toMatchObject({ code: 1, json: { msg: expect.stringContaining('nothing is recorded') } });
});

describe('a request', () => {
  test('in the configuration counts where CNI_ARGS have none', async () => {
    node.defineRails(2);
    const conf = { manifold: { networks: [{ name: 'rail1', interface: 'own' }] } };
    expect(await node.manifoldCall('ADD', 'a', { conf })).toMatchObject({ code: 0 });
    expect(node.interfaces('a')).toEqual(['eth0', 'own']);
    await del();
    expect(await node.manifoldCall('ADD', 'a', { conf, networks: 'rail0' })).toMatchObject({ code: 0 });
    expect(node.addresses('a')).toContain('net1 10.2.0.1/24');
    await del();
  });

  test('for an address and a MAC is fulfilled', async () => {
    node.defineRails(1);
    const networks = JSON.stringify([{ name: 'rail0', ips: ['10.2.0.77'], mac: '02:00:00:00:00:77' }]);
    expect(await node.manifoldCall('ADD', 'a', { networks })).toMatchObject({ code: 0 });
    const net1 = node.links('a').find((link) => link.ifname === 'net1');
    expect(net1).toMatchObject({
      address: '02:00:00:00:00:77',
      addr_info: expect.arrayContaining([expect.objectContaining({ local: '10.2.0.77' })]),
    });
    await del();
  });

  test.each([
    ['rail9', 'Cannot attach pod default/a to network default/rail9: it is not defined in'],
    ['rail0@eth0', 'the interface name eth0 is taken'],
    [
      '[{"name":"rail0","bandwidth":{"ingressRate":5}}]',
      'asks for bandwidth, which no plugin of the network declares',
    ],
    ['[{"name":"rail0"', 'is not JSON'],
    ['rail0, broken', "Cannot find plugin 'no-such-plugin'"],
    ['rail0, elsewhere', 'Cannot use network default/elsewhere'],
  ])('that cannot be fulfilled (%s) fails before anything is changed', async (networks, reason) => {
    node.defineRails(1);
    node.define('default', 'broken', { type: 'no-such-plugin' });
    node.define('default', 'elsewhere', { type: '../../bin/sh' });
    const failed = await node.manifoldCall('ADD', 'a', { networks });
    expect(failed.code).toBe(1);
    expect(failed.json.msg).toContain(reason);
    expect(node.interfaces('a')).toEqual([]);
    await del();
  });
});

test('a pod for which one network has no address left takes none from the others', async () => {
  node.defineRails(1);
  node.define('default', 'tiny', node.macvlan({ range: '10.3.0.0/30', gateway: '10.3.0.1' }));
  node.addPod('b');
  expect(await node.manifoldCall('ADD', 'b', { networks: 'tiny' })).toMatchObject({ code: 0 });
  const held = node.leased();
  const failed = await node.manifoldCall('ADD', 'a', { networks: 'rail0, tiny' });
  expect(failed.code).toBe(1);
  expect(failed.json.msg).toContain('Cannot attach pod default/a');
  expect(failed.json.msg).toContain('10.3.0');
  expect(node.leased()).toEqual(held);
  expect(node.journal().map((record) => record.containerId)).toEqual(['c-b', 'c-b']);
  await del('b');
});

describe('a failure at one network', () => {
  test('undoes all before it, last first, and is told with its own cause and code', async () => {
    node.defineRails(2);
    node.define('default', 'bad', { ...node.macvlan({ range: '10.4.0.0/24' }), master: 'no-such-nic' });
    const failed = await node.manifoldCall('ADD', 'a', { networks: 'rail0, bad, rail1' });
    expect(failed.code).toBe(1);
    expect(failed.json.msg).toContain('Cannot attach pod default/a to network default/bad (net2)');
    expect(failed.json.msg).toContain('no-such-nic');
    expect(node.interfaces('a')).toEqual([]);
    expect(node.leased()).toEqual([]);
    expect(node.journal()).toEqual([]);
  });
});

test('an ADD repeated for the same sandbox is refused and changes nothing', async () => {
  const networks = node.defineRails(1);
  await node.manifoldCall('ADD', 'a', { networks });
  const before = [node.links('a'), node.journal(), node.leased()];
  const again = await node.manifoldCall('ADD', 'a', { networks });
  expect(again).toMatchObject({ code: 1, json: { msg: expect.stringContaining('attached already') } });
  expect([node.links('a'), node.journal(), node.leased()]).toEqual(before);
  await del();
});

test('one container may be attached twice under two interface names, and neither call touches what the other made', async () => {
  node.defineRails(2);
  const first = { ifname: 'eth0', networks: 'rail0@x' };
  expect(await node.manifoldCall('ADD', 'a', first)).toMatchObject({ code: 0 });
  const before = node.journal();
  const clash = await node.manifoldCall('ADD', 'a', { ifname: 'eth1', networks: 'rail1@x' });
  expect(clash).toMatchObject({
    code: 1,
    json: { msg: expect.stringContaining('the interface name x is taken by network default/rail0') },
  });
  expect(node.journal()).toEqual(before);
  expect(await node.manifoldCall('ADD', 'a', { ifname: 'eth1', networks: 'rail1@y' })).toMatchObject({
    code: 0,
  });
  await del('a', { ifname: 'eth0' });
  expect(node.interfaces('a')).toEqual(['eth1', 'y']);
  await del('a', { ifname: 'eth1' });
  expect(node.interfaces('a')).toEqual([]);
});

test('thirty-two pods at once get three networks each, and no address twice', async () => {
  const networks = node.defineRails(2);
  const pods = Array.from({ length: 32 }, (_, index) => `n${index}`);
  for (const pod of pods) node.addPod(pod);
  const added = await Promise.all(pods.map((pod) => node.manifoldCall('ADD', pod, { networks })));
  expect(added.filter(({ code }) => code !== 0).map(({ stdout }) => stdout)).toEqual([]);
  const addresses = pods.flatMap((pod) => node.addresses(pod).map((text) => text.split(' ')[1]));
  expect(addresses).toHaveLength(96);
  expect(new Set(addresses).size).toBe(96);
  const deleted = await Promise.all(pods.map((pod) => node.manifoldCall('DEL', pod)));
  expect(deleted.filter(({ code }) => code !== 0).map(({ stdout }) => stdout)).toEqual([]);
});

test('two ADDs of one sandbox at once: one attaches it, the other is refused and takes nothing away', async () => {
  const networks = node.defineRails(1);
  const both = await Promise.all([1, 2].map(() => node.manifoldCall('ADD', 'a', { networks })));
  const refused = both.filter(({ code }) => code !== 0);
  expect(refused).toHaveLength(1);
  expect(refused[0]?.json.msg).toMatch(/is attaching it right now|attached already/);
  expect(node.interfaces('a')).toEqual(['eth0', 'net1']);
  expect(node.journal()).toMatchObject([{ state: 'added' }, { state: 'added' }]);
  await del();
});

describe('DEL works', () => {
  test('a second time, and for a sandbox that was never added', async () => {
    await del();
    await node.manifoldCall('ADD', 'a', { networks: node.defineRails(1) });
    await del();
    await del();
    await del('a', { containerId: 'unknown' });
  });

  test('with the definitions and the default network gone from the configuration', async () => {
    await node.manifoldCall('ADD', 'a', { networks: node.defineRails(2) });
    await del('a', { conf: { clusterNetwork: '/nowhere', manifold: { networksDir: '/nowhere' } } });
    expect(node.interfaces('a')).toEqual([]);
  });

  test('with the namespace gone', async () => {
    await node.manifoldCall('ADD', 'a', { networks: node.defineRails(2) });
    node.removePod('a');
    await del();
  });

  test('with no namespace given', async () => {
    await node.manifoldCall('ADD', 'a', { networks: node.defineRails(2) });
    node.removePod('a');
    await del('a', { netns: '', pod: undefined, containerId: 'c-a' });
  });

  test('with an interface that the pod has renamed', async () => {
    await node.manifoldCall('ADD', 'a', { networks: node.defineRails(2) });
    node.podIp('a', 'link', 'set', 'net1', 'down');
    node.podIp('a', 'link', 'set', 'net1', 'name', 'mine');
    await del();
    expect(node.interfaces('a')).toEqual([]);
  });
});

test('each delegate leaves an entry in the cache of libcni, and DEL takes it away', async () => {
  await node.manifoldCall('ADD', 'a', { networks: node.defineRails(1) });
  expect(readdirSync(join(node.cniDir, 'results')).sort()).toEqual(['cluster-c-a-eth0', 'rail0-c-a-net1']);
  await del();
  expect(readdirSync(join(node.cniDir, 'results'))).toEqual([]);
});

describe('the default route', () => {
  const routes = () =>
    (JSON.parse(node.podIp('a', '-j', 'route', 'show', 'default')) as JsonObject[]).map(
      (r) => `${r.gateway} ${r.dev}`,
    );

  test('is given to the network that asks for it, and CHECK holds it there', async () => {
    node.define('default', 'rail0', node.macvlan({ range: '10.2.0.0/24', gateway: '10.2.0.254' }));
    const networks = JSON.stringify([{ name: 'rail0', 'default-route': ['10.2.0.254'] }]);
    const added = await node.manifoldCall('ADD', 'a', { networks });
    expect(added).toMatchObject({ code: 0 });
    expect(routes()).toEqual(['10.2.0.254 net1']);
    expect(JSON.stringify(added.json.routes ?? [])).not.toContain('0.0.0.0/0');
    const check = () => node.manifoldCall('CHECK', 'a', { conf: { prevResult: added.json } });
    expect(await check()).toMatchObject({ code: 0 });
    node.podIp('a', 'route', 'add', 'default', 'via', '10.1.0.1', 'metric', '50');
    expect(await check()).toMatchObject({
      code: 1,
      json: { msg: expect.stringContaining('another stands beside it') },
    });
    await del();
  });

  test('is the one that its own network gives where the list is empty', async () => {
    node.define(
      'default',
      'rail0',
      node.macvlan({ range: '10.2.0.0/24', gateway: '10.2.0.254', routes: [{ dst: '0.0.0.0/0' }] }),
    );
    const networks = JSON.stringify([{ name: 'rail0', 'default-route': [] }]);
    expect(await node.manifoldCall('ADD', 'a', { networks })).toMatchObject({ code: 0 });
    expect(routes()).toEqual(['10.2.0.254 net1']);
    await del();
  });

  test('that cannot be given fails the pod with a reason, and nothing is left', async () => {
    node.defineRails(1);
    for (const [gateways, reason] of [
      [[], 'names no gateway and its network gave none'],
      [['192.0.2.1'], 'ENETUNREACH'],
    ] as const) {
      const failed = await node.manifoldCall('ADD', 'a', {
        networks: JSON.stringify([{ name: 'rail0', 'default-route': gateways }]),
      });
      expect(failed.code).toBe(1);
      expect(failed.json.msg).toContain('Cannot attach pod default/a to network default/rail0 (net1)');
      expect(failed.json.msg).toContain(reason);
      expect(node.interfaces('a')).toEqual([]);
    }
  });
});
