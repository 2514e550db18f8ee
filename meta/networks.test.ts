import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'valibot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { metaSchema } from './config.ts';
import { nodeFiles } from './files.ts';
import { type NetworkSources, namespacesFor, readAskedNetwork, readEveryPodNetworks } from './networks.ts';
import { isOurselves } from './ourselves.ts';
import { parseRequest } from './request.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-conf-'));
  for (const name of ['net.d', 'networks.d', 'bin']) mkdirSync(join(root, name));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (name: string, content: JsonObject | string) =>
  writeFileSync(join(root, name), typeof content === 'string' ? content : JSON.stringify(content));
const define = (namespace: string, name: string, config?: JsonObject, file = `${namespace}-${name}.json`) =>
  write(`networks.d/${file}`, {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { namespace, name },
    ...(config && { spec: { config: JSON.stringify(config) } }),
  });
const sources = (raw: JsonObject): NetworkSources => ({
  files: nodeFiles,
  config: parse(metaSchema, {
    confDir: join(root, 'net.d'),
    manifold: { networksDir: join(root, 'networks.d') },
    ...raw,
  }),
  ownTypes: new Set(['macvlan']),
  isOurselves: (type) =>
    isOurselves(type, [join(root, 'bin')], {
      files: nodeFiles,
      ownTypes: new Set(['macvlan']),
      ownFile: join(root, 'bin/manifold'),
    }),
});
const everyPod = (raw: JsonObject) => readEveryPodNetworks(sources(raw));
const asked = (text: string, raw: JsonObject = {}) => {
  const [request] = parseRequest(text, 'the test');
  if (request === undefined) throw new Error('nothing asked');
  return readAskedNetwork(sources({ delegates: [{ type: 'ptp' }], ...raw }), request, {
    label: 'pod tenant/web',
    namespace: 'tenant',
  });
};
const PTP = { cniVersion: '1.0.0', name: 'cluster', type: 'ptp' };

describe('the networks of every pod', () => {
  test('are the delegates in order, and one without name gets one', () => {
    expect(everyPod({ delegates: [PTP, { type: 'bridge' }] })).toMatchObject([
      { label: 'cluster', config: { name: 'cluster', cniVersion: '1.0.0', plugins: [{ type: 'ptp' }] } },
      { label: 'delegates[1]', config: { name: 'manifold-delegate-1', plugins: [{ type: 'bridge' }] } },
    ]);
  });

  test('clusterNetwork is a definition in multusNamespace before it is anything else', () => {
    define('kube-system', 'cluster', { type: 'bridge' });
    write('net.d/10-cluster.conf', PTP);
    expect(everyPod({ clusterNetwork: 'cluster' })).toMatchObject([
      { label: 'kube-system/cluster', config: { name: 'cluster', plugins: [{ type: 'bridge' }] } },
    ]);
    expect(everyPod({ clusterNetwork: 'cluster', multusNamespace: 'infra' })).toMatchObject([
      {
        label: 'cluster',
        source: join(root, 'net.d/10-cluster.conf'),
        config: { plugins: [{ type: 'ptp' }] },
      },
    ]);
  });

  test('clusterNetwork may be a directory, whose first file that is not ours is taken', () => {
    write('net.d/00-manifold.conflist', { name: 'm', plugins: [{ type: 'manifold' }] });
    symlinkSync('manifold', join(root, 'bin/multi'));
    write('bin/manifold', '');
    write('net.d/05-other-name.conf', { name: 'n', type: 'multi' });
    write('net.d/10-cluster.conflist', {
      name: 'cluster',
      cniVersion: '1.0.0',
      plugins: [{ type: 'ptp' }, { type: 'portmap' }],
    });
    write('net.d/20-later.conf', { ...PTP, name: 'later' });
    expect(everyPod({ clusterNetwork: join(root, 'net.d') })).toMatchObject([
      { label: 'cluster', config: { plugins: [{ type: 'ptp' }, { type: 'portmap' }] } },
    ]);
  });

  test('clusterNetwork may be a file, with the plugins that stand beside a list', () => {
    write('net.d/10.conflist', { name: 'cluster', plugins: [{ type: 'ptp' }] });
    mkdirSync(join(root, 'net.d/cluster'));
    write('net.d/cluster/20-more.conf', { type: 'tuning' });
    expect(everyPod({ clusterNetwork: join(root, 'net.d/10.conflist') })).toMatchObject([
      { label: 'cluster', config: { plugins: [{ type: 'ptp' }, { type: 'tuning' }] } },
    ]);
  });

  test.each([
    ['nothing-of-that-name', 'nothing is named "nothing-of-that-name"'],
    ['/nowhere/at/all', 'nothing is named "/nowhere/at/all"'],
    ['../../etc/shadow', 'nothing is named'],
  ])('clusterNetwork %s cannot be found', (clusterNetwork, reason) => {
    expect(() => everyPod({ clusterNetwork })).toThrow(reason);
  });

  test('a directory that has only our own file has no default network', () => {
    write('net.d/00-manifold.conf', { name: 'm', type: 'manifold' });
    expect(() => everyPod({ clusterNetwork: join(root, 'net.d') })).toThrow(
      'no network configuration but our own',
    );
  });

  test('manifold is refused as its own delegate, under its name, by a link, and as another name of one file', () => {
    write('bin/manifold', '');
    symlinkSync('manifold', join(root, 'bin/linked'));
    const refusal = 'it would call manifold again';
    expect(() => everyPod({ delegates: [{ name: 'x', type: 'manifold' }] })).toThrow(refusal);
    expect(() => everyPod({ delegates: [{ name: 'x', type: 'linked' }] })).toThrow(refusal);
    expect(() =>
      everyPod({ delegates: [{ name: 'x', plugins: [{ type: 'ptp' }, { type: 'linked' }] }] }),
    ).toThrow(refusal);
    expect(everyPod({ delegates: [{ name: 'x', type: 'macvlan' }] })).toHaveLength(1);
  });

  test.each([
    [{ type: 'macvlan', ipam: { type: 'manifold' } }],
    [{ type: 'macvlan', ipam: { type: 'linked' } }],
    [{ plugins: [{ type: 'macvlan' }, { type: 'tuning', ipam: { type: 'manifold' } }] }],
  ])('manifold is refused as the IPAM plugin of a delegate: %j', (delegate) => {
    write('bin/manifold', '');
    symlinkSync('manifold', join(root, 'bin/linked'));
    expect(() => everyPod({ delegates: [{ name: 'x', ...delegate }] })).toThrow(
      'it would call manifold again',
    );
  });

  test('a file of a directory whose IPAM plugin would be manifold is refused, not passed over', () => {
    write('net.d/10-cluster.conf', { ...PTP, ipam: { type: 'manifold' } });
    write('net.d/20-later.conf', { ...PTP, name: 'later' });
    expect(() => everyPod({ clusterNetwork: join(root, 'net.d') })).toThrow('it would call manifold again');
  });

  test.each([
    [{}, 'must have either "delegates" or "clusterNetwork"'],
    [{ delegates: [PTP], clusterNetwork: 'x' }, 'must have either "delegates" or "clusterNetwork"'],
    [{ delegates: [] }, 'must not be empty'],
  ])('%j is no configuration', (raw, reason) => {
    expect(() => sources(raw)).toThrow(reason);
  });
});

describe('a network asked for', () => {
  test('is looked for in every namespace that defines it, default first, where the pod is not known', () => {
    for (const namespace of ['tenant', 'default', 'other']) define(namespace, 'rail0', { type: 'ptp' });
    define('tenant', 'rail1', { type: 'ptp' });
    const config = sources({ delegates: [PTP] });
    const namespaces = (text: string) => parseRequest(text, 'test').map((one) => namespacesFor(config, one));
    expect(namespaces('rail0, rail1, rail2, other/rail1')).toEqual([
      ['default', 'other', 'tenant'],
      ['tenant'],
      ['default'],
      ['other'],
    ]);
  });

  test("is the definition of the pod's namespace unless it names one", () => {
    define('tenant', 'rail0', { type: 'ptp' });
    define('default', 'rail0', { type: 'bridge' });
    expect(asked('rail0')).toMatchObject({
      label: 'tenant/rail0',
      config: { name: 'rail0', plugins: [{ type: 'ptp' }] },
    });
    expect(asked('default/rail0')).toMatchObject({
      label: 'default/rail0',
      config: { plugins: [{ type: 'bridge' }] },
    });
  });

  test('keeps the name of its configuration, and may be a list', () => {
    define('tenant', 'rail0', {
      name: 'other',
      cniVersion: '1.0.0',
      plugins: [{ type: 'ptp' }, { type: 'tuning' }],
    });
    expect(asked('rail0').config).toMatchObject({
      name: 'other',
      plugins: [{ type: 'ptp' }, { type: 'tuning' }],
    });
  });

  test('without configuration is the file of its name, configuration lists first (NPWG 3.4.1)', () => {
    define('tenant', 'rail0');
    write('net.d/10-a.conf', { name: 'rail0', type: 'ptp' });
    expect(asked('rail0')).toMatchObject({
      source: join(root, 'net.d/10-a.conf'),
      config: { plugins: [{ type: 'ptp' }] },
    });
    write('net.d/20-b.conflist', { name: 'rail0', plugins: [{ type: 'bridge' }] });
    expect(asked('rail0')).toMatchObject({ source: join(root, 'net.d/20-b.conflist') });
  });

  test('without configuration anywhere fails with both places', () => {
    define('tenant', 'rail0');
    write('net.d/broken.conf', '{');
    expect(() => asked('rail0')).toThrow(
      `no file in ${root}/net.d has the name "rail0" (${root}/networks.d/tenant-rail0.json)`,
    );
  });

  test('that is not defined fails with what is, and with the files that are broken', () => {
    define('tenant', 'rail1', { type: 'ptp' });
    write('networks.d/broken.yaml', 'a: [');
    const error = catchMessageAndHint(() => asked('rail0'));
    expect(error.message).toBe(
      `Cannot attach pod tenant/web to network tenant/rail0: it is not defined in ${root}/networks.d`,
    );
    expect(error.hint).toContain(`${root}/networks.d/broken.yaml: is not YAML`);
    expect(error.hint).toContain('defined are: tenant/rail1');
  });

  test('that is defined twice is refused, since one of the two would win by its file name', () => {
    define('tenant', 'rail0', { type: 'ptp' });
    define('tenant', 'rail0', { type: 'bridge' }, 'again.json');
    expect(() => asked('rail0')).toThrow('it is defined twice');
  });

  test.each([
    [{ type: '../../bin/sh' }, "'plugins[0].type' as it must be a bare file name"],
    [{ type: 'ptp', ipam: { type: '../evil' } }, "Cannot use 'ipam.type'"],
    [{ name: '../x', type: 'ptp' }, "'name'"],
    [{ name: 'x' }, "'plugins[0].type'"],
    [{ name: 'x', plugins: [] }, "'plugins'"],
    [{ name: 'x', cniVersion: '9.0.0', type: 'ptp' }, "'cniVersion'"],
  ])('with the configuration %j is refused, with network and file', (config, reason) => {
    define('tenant', 'rail0', config);
    expect(() => asked('rail0')).toThrow(reason);
    expect(() => asked('rail0')).toThrow('Cannot use network tenant/rail0');
    expect(() => asked('rail0')).toThrow('tenant-rail0.json');
  });

  test('of another namespace is refused under namespaceIsolation, but for the global ones', () => {
    for (const namespace of ['tenant', 'default', 'other', 'shared'])
      define(namespace, 'rail0', { type: 'ptp' });
    const isolated = { namespaceIsolation: true };
    expect(asked('tenant/rail0', isolated).label).toBe('tenant/rail0');
    expect(asked('default/rail0', isolated).label).toBe('default/rail0');
    expect(() => asked('other/rail0', isolated)).toThrow('namespaceIsolation is on');
    const shared = { ...isolated, globalNamespaces: 'shared, other' };
    expect(asked('other/rail0', shared).label).toBe('other/rail0');
    expect(() => asked('default/rail0', shared)).toThrow('namespaceIsolation is on');
  });

  test('cannot choose where our own plugins keep their state or write their log', () => {
    define('tenant', 'rail0', {
      type: 'macvlan',
      manifold: { stateDir: '/etc/cron.d', logFile: '/etc/passwd', other: 1 },
    });
    const settings = { networksDir: join(root, 'networks.d'), stateDir: '/node/state', runDir: '/node/run' };
    expect(asked('rail0', { manifold: settings }).config.plugins).toEqual([
      {
        type: 'macvlan',
        manifold: { stateDir: '/node/state', runDir: '/node/run', logLevel: 'info', other: 1 },
      },
    ]);
  });
});

function catchMessageAndHint(work: () => unknown): { message: string; hint: string } {
  try {
    work();
  } catch (error) {
    return error as { message: string; hint: string };
  }
  throw new Error('nothing was thrown');
}
