// Plugins of others as delegates: Debian's reference plugins from CNI_PATH, beside and after ours.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { expectClean } from '../kit/clean.ts';
import { MetaNode } from '../kit/meta-node.ts';
import { debianPlugins } from '../kit/reference-plugins.ts';
import { DIST_BIN } from '../kit/test-node.ts';

let plugins: string;
beforeAll(() => {
  plugins = debianPlugins();
});

let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
  node.addPod('a');
  node.delegates = [
    {
      cniVersion: '1.0.0',
      name: 'cluster',
      plugins: [{ type: 'ptp', ipam: hostLocal('10.1.0.0/24', [{ dst: '0.0.0.0/0' }]) }],
    },
  ];
});
afterEach(() => {
  try {
    expect(leases()).toEqual([]);
    expectClean(node);
  } finally {
    node.close();
  }
});

const hostLocal = (subnet: string, routes: JsonObject[] = []): JsonObject => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes,
  dataDir: join(node.directory, 'host-local'),
});
/** What host-local has given out. */
function leases(): string[] {
  const directory = join(node.directory, 'host-local');
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .flatMap((network) => readdirSync(join(directory, network)))
    .filter((name) => /^[0-9a-f.:]+$/.test(name))
    .sort();
}
const call = (verb: 'ADD' | 'CHECK' | 'DEL', more: JsonObject & { networks?: string } = {}) => {
  const { networks, ...conf } = more;
  return node.manifoldCall(verb, 'a', {
    ...(networks !== undefined && { networks }),
    conf,
    env: { CNI_PATH: `${DIST_BIN}:${plugins}` },
  });
};
const routes = () =>
  (JSON.parse(node.podIp('a', '-j', 'route', 'show', 'default')) as JsonObject[]).map(
    (r) => `${r.gateway} ${r.dev}`,
  );

test('ptp is the default network, macvlan of ours takes its address from host-local, tuning comes after it', async () => {
  node.define('default', 'rail0', {
    cniVersion: '1.0.0',
    plugins: [
      { type: 'macvlan', master: 'nic0', ipam: hostLocal('10.2.0.0/24') },
      { type: 'tuning', sysctl: { 'net.ipv4.conf.net1.log_martians': '1' }, mtu: 1400 },
    ],
  });
  const added = await call('ADD', { networks: 'rail0' });
  expect(added).toMatchObject({ code: 0, json: { ips: [{ address: '10.1.0.2/24' }] } });
  expect(node.addresses('a')).toEqual(['eth0 10.1.0.2/24', 'net1 10.2.0.2/24']);
  expect(node.links('a').find((link) => link.ifname === 'net1')).toMatchObject({ mtu: 1400 });
  expect(leases()).toEqual(['10.1.0.2', '10.2.0.2']);
  expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ code: 0, stdout: '' });
  expect(await call('DEL')).toMatchObject({ code: 0 });
  expect(node.interfaces('a')).toEqual([]);
});

test('a plugin of the reference takes its address from manifold-ipam', async () => {
  node.define('default', 'rail0', {
    ...node.macvlan({ range: '10.2.0.0/24' }),
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'mfbr0',
  });
  expect(await call('ADD', { networks: 'rail0' })).toMatchObject({ code: 0 });
  expect(node.addresses('a')).toContain('net1 10.2.0.1/24');
  expect(node.leased()).toEqual(['10.2.0.1 held']);
  expect(await call('DEL')).toMatchObject({ code: 0 });
});

test('the default route leaves ptp for the network that asks for it, and the CHECK of ptp still passes', async () => {
  node.define('default', 'rail0', node.macvlan({ range: '10.2.0.0/24', gateway: '10.2.0.254' }));
  const networks = JSON.stringify([{ name: 'rail0', 'default-route': ['10.2.0.254'] }]);
  const added = await call('ADD', { networks });
  expect(added).toMatchObject({ code: 0 });
  expect(routes()).toEqual(['10.2.0.254 net1']);
  expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ code: 0 });
  expect(await call('DEL')).toMatchObject({ code: 0 });
});

test('a plugin that does not speak the version, at ADD and at DEL, fails the pod and leaves nothing in the way', async () => {
  node.define('default', 'new', { cniVersion: '1.1.0', type: 'bridge', bridge: 'mfbr0' });
  const failed = await call('ADD', { networks: 'new' });
  expect(failed).toMatchObject({
    code: 1,
    json: { code: 1, msg: expect.stringContaining('network default/new (net1)') },
  });
  expect(node.journal()).toEqual([]);
});

test('a failure after ptp frees what ptp and host-local had', async () => {
  node.define('default', 'bad', {
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'mfbr0',
    ipam: { ...hostLocal('10.2.0.0/30'), ranges: [] },
  });
  const failed = await call('ADD', { networks: 'bad' });
  expect(failed.code).toBe(1);
  expect(failed.json.msg).toContain('Cannot attach pod default/a to network default/bad (net1)');
  expect(node.interfaces('a')).toEqual([]);
});
