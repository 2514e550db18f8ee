import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { SUPPORTED_VERSIONS } from '../pkg/cni/versions.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { checkState } from '../pkg/state/check-state.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { openNodeStore } from '../pkg/state/open-node-store.ts';
import { deferredReleases } from '../pkg/state/spool.ts';
import { callPlugin } from '../test/kit/call-plugin.ts';
import { createIpam } from './plugin.ts';

let root: string;
let node: NodeStore;
let openStore: () => NodeStore;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-ipam-'));
  node = openNodeStore(join(root, 'state'));
  openStore = () => node;
});
afterEach(() => {
  expect(checkState(node).broken).toEqual([]);
  node.close();
  rmSync(root, { recursive: true });
});

const noCluster = () => {
  throw new Error('no cluster was named');
};
const range = { range: '10.0.0.0/29', gateway: '10.0.0.1' };

interface Asking {
  readonly container?: string;
  readonly args?: string;
  readonly ipam?: JsonObject;
  readonly more?: JsonObject;
  readonly version?: string;
}

async function call(verb: string, asking: Asking = {}) {
  const { container = 'c1', args = 'K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p', ipam = range, more = {} } = asking;
  const plugin = createIpam({
    kernel: { openIfThere: () => undefined },
    openStore: () => openStore(),
    kube: noCluster,
    now: () => 7,
  });
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: container,
    CNI_IFNAME: 'net1',
    CNI_NETNS: '/run/netns/none',
    CNI_PATH: '/nowhere',
    CNI_ARGS: args,
  };
  const { output, stderr } = await callPlugin(plugin, env, {
    cniVersion: asking.version ?? '1.1.0',
    name: 'rail0',
    type: 'macvlan',
    ipam: { type: 'manifold-ipam', ...ipam },
    manifold: { stateDir: join(root, 'state'), runDir: join(root, 'run') },
    ...more,
  });
  return { output, stderr };
}

const added = (...addresses: string[]): JsonObject => ({
  prevResult: { cniVersion: '1.1.0', ips: addresses.map((address) => ({ address })) },
});

test('the result has addresses with prefix length and gateway, routes, dns, and no interfaces', async () => {
  const ipam = {
    ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/64' }],
    gateway: ['10.0.0.1', 'fe80::1'],
    routes: [{ dst: '10.9.0.0/16', gw: '10.0.0.254', mtu: 1400 }],
    dns: { nameservers: ['10.0.0.53'] },
  };
  expect((await call('ADD', { ipam })).output).toEqual({
    cniVersion: '1.1.0',
    ips: [
      { address: '10.0.0.2/24', gateway: '10.0.0.1' },
      { address: 'fd00::1/64', gateway: 'fe80::1' },
    ],
    routes: [{ dst: '10.9.0.0/16', gw: '10.0.0.254', mtu: 1400 }],
    dns: { nameservers: ['10.0.0.53'] },
  });
});

test.each(SUPPORTED_VERSIONS)('ADD and DEL by CNI %s', async (version) => {
  const { output } = await call('ADD', { version });
  expect(output?.cniVersion).toBe(version);
  expect(JSON.stringify(output)).toContain('10.0.0.2/29');
  expect((await call('DEL', { version })).output).toBeUndefined();
  expect(node.leases.all().map((lease) => lease.state)).toEqual(['resting']);
});

test('the lease names the pod, its sandbox and its namespace', async () => {
  await call('ADD', { args: 'K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;K8S_POD_UID=u-1' });
  expect(node.leases.all()).toMatchObject([
    {
      address: '10.0.0.2',
      network: 'rail0',
      owner: 'u-1',
      containerId: 'c1',
      ifname: 'net1',
      netns: '/run/netns/none',
      pod: { uid: 'u-1', namespace: 'ns', name: 'p' },
      state: 'held',
      acquired: 7,
    },
  ]);
});

test('keys of Whereabouts without a meaning here are named in the log', async () => {
  const { output, stderr } = await call('ADD', {
    ipam: { ...range, datastore: 'kubernetes', etcd_host: 'h' },
  });
  expect(output?.ips).toHaveLength(1);
  expect(stderr).toContain('"keys":["ipam.datastore","ipam.etcd_host"]');
});

test('DEL of an unknown container, and a second DEL, succeed', async () => {
  expect((await call('DEL', { container: 'never' })).output).toBeUndefined();
  await call('ADD');
  await call('DEL');
  expect((await call('DEL')).output).toBeUndefined();
});

test('CHECK is content with what ADD gave, and with the addresses of other plugins', async () => {
  await call('ADD');
  expect((await call('CHECK', { more: added('10.0.0.2/29', '192.168.0.5/24') })).output).toBeUndefined();
});

test('a refused ADD of another network for the same interface, and its DEL, leave the lease alone', async () => {
  await call('ADD');
  await call('ADD', { more: { name: 'rail1' } });
  expect((await call('DEL', { more: { name: 'rail1' } })).output).toBeUndefined();
  expect((await call('CHECK', { more: added('10.0.0.2/29') })).output).toBeUndefined();
  expect((await call('CHECK', { more: { name: 'rail1', ...added('10.0.0.2/29') } })).output?.msg).toBe(
    'Cannot confirm the addresses of net1 of container c1 on network rail1: 10.0.0.2 is leased to pod ns/p on network rail0 (container c1, net1)',
  );
});

test.each([
  [
    'was released',
    async () => void (await call('DEL')),
    '10.0.0.2 was released, last held by pod ns/p (container c1, net1)',
  ],
  ['is leased to nobody', async () => node.leases.remove('', '10.0.0.2'), '10.0.0.2 is leased to nobody'],
  [
    'is leased to another',
    async () => {
      const [lease] = node.leases.all();
      if (lease)
        node.leases.put({ ...lease, owner: 'x', containerId: 'c9', pod: { namespace: 'ns', name: 'q' } });
    },
    '10.0.0.2 is leased to pod ns/q (container c9, net1)',
  ],
])('CHECK says when an address %s', async (_, change, difference) => {
  await call('ADD');
  await change();
  const { output } = await call('CHECK', { more: added('10.0.0.2/29') });
  expect(output?.code).toBeGreaterThan(99);
  expect(output?.msg).toBe(
    `Cannot confirm the addresses of net1 of container c1 on network rail0: ${difference}`,
  );
});

test('CHECK finds the lease in whichever domain of its own the address was given from', async () => {
  const ipam = {
    ipRanges: [{ range: '10.0.0.0/16' }, { range: '10.0.0.0/24' }],
    enable_overlapping_ranges: false,
  };
  expect((await call('ADD', { ipam })).output?.ips).toEqual([
    { address: '10.0.0.1/16' },
    { address: '10.0.0.1/24' },
  ]);
  await call('ADD', { ipam: { range: '10.0.0.0/16', enable_overlapping_ranges: false }, container: 'c2' });
  expect((await call('CHECK', { ipam, more: added('10.0.0.1/16', '10.0.0.1/24') })).output).toBeUndefined();
});

test('CHECK says when prevResult lacks an address that is leased', async () => {
  await call('ADD');
  expect((await call('CHECK', { more: added() })).output?.msg).toContain(
    '10.0.0.2 is leased to it but is not in prevResult',
  );
});

test('STATUS is content while an address is free, and says who holds what when none is', async () => {
  expect((await call('STATUS')).output).toBeUndefined();
  for (let i = 0; i < 5; i++) await call('ADD', { container: `x${i}` });
  expect((await call('STATUS')).output).toMatchObject({
    code: 50,
    msg: 'Cannot serve ADD: no address of network rail0 is free, all 5 of 10.0.0.2-10.0.0.6 are held (ns 5)',
  });
});

test('a store that cannot be used: ADD fails, STATUS is 50, and DEL writes the release down', async () => {
  await call('ADD');
  openStore = () => {
    throw new ManifoldError('state', "Cannot open the node's store: the file is damaged (/x)", {
      hint: 'move it',
    });
  };
  expect((await call('ADD', { container: 'c2' })).output?.msg).toContain('the file is damaged');
  expect((await call('STATUS')).output).toMatchObject({
    code: 50,
    details: expect.stringContaining('move it'),
  });
  expect((await call('DEL')).output).toBeUndefined();
  expect(deferredReleases(join(root, 'run'))).toMatchObject([{ network: 'rail0', only: 'leases' }]);
  const later = openNodeStore(join(root, 'state'), { runDirectory: join(root, 'run') });
  expect(later.leases.all().map((lease) => lease.state)).toEqual(['resting']);
  later.close();
});

test('GC frees what is not valid', async () => {
  await call('ADD', { container: 'a' });
  await call('ADD', { container: 'b' });
  await call('GC', { more: { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'net1' }] } });
  expect(node.leases.all().map(({ containerId, state }) => `${containerId} ${state}`)).toEqual([
    'a resting',
    'b held',
  ]);
});

test('a bad configuration is error 7 and names the key', async () => {
  const { output } = await call('ADD', { ipam: { range: '10.0.0.0/29', range_start: '10.0.1.1' } });
  expect(output).toMatchObject({ code: 7, msg: expect.stringContaining("Cannot use 'ipam.range_start'") });
});
