import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { parseIpamConfig } from '../config.ts';
import { completeWhereabouts } from './complete.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-flat-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const KUBECONFIG = { kubernetes: { kubeconfig: '/etc/k' } };

function complete(ipam: JsonObject, more: JsonObject = {}, { forDel = false, env = {} } = {}) {
  const raw = {
    cniVersion: '1.0.0',
    name: 'n',
    type: 'macvlan',
    ipam: { type: 'whereabouts', ...ipam },
    ...more,
  };
  return completeWhereabouts(raw, { env, forDel, directories: [directory] });
}

const flat = (keys: unknown, name = 'whereabouts.conf') =>
  writeFileSync(join(directory, name), typeof keys === 'string' ? keys : JSON.stringify(keys));

describe('the flat file', () => {
  test('gives what the configuration leaves out, and nothing else', () => {
    flat({
      ...{ type: 'other', range: '10.9.0.0/16', gateway: '10.9.0.1', enable_overlapping_ranges: false },
      kubernetes: { kubeconfig: '/flat', k8s_api_root: 'x' },
      dns: { nameservers: ['10.0.0.2'] },
    });
    const { config } = complete({
      range: '10.1.0.0/24',
      gateway: '',
      kubernetes: {},
      dns: { nameservers: [] },
    });
    expect(config.ipam).toEqual({
      ...{ type: 'whereabouts', range: '10.1.0.0/24', gateway: '10.9.0.1' },
      kubernetes: { kubeconfig: '/flat', k8s_api_root: 'x' },
      dns: { nameservers: ['10.0.0.2'] },
    });
    expect(config.manifold).toMatchObject({ kubeconfig: '/flat', whereabouts: 'open' });
  });

  test('is the one that configuration_path names, or the one in the directory that it names', () => {
    flat({ network_name: 'default', ...KUBECONFIG });
    flat({ network_name: 'own', ...KUBECONFIG }, 'own.conf');
    mkdirSync(join(directory, 'sub'));
    flat({ network_name: 'sub', ...KUBECONFIG }, 'sub/whereabouts.conf');
    const named = (configuration_path: string) => complete({ configuration_path }).config.ipam;
    expect(named(join(directory, 'own.conf'))).toMatchObject({ network_name: 'own' });
    expect(named(join(directory, 'sub'))).toMatchObject({ network_name: 'sub' });
    expect(named('/nowhere/at/all')).toMatchObject({ network_name: 'default' });
  });

  test('need not be there when the configuration names the kubeconfig', () => {
    expect(complete({ range: '10.1.0.0/24', ...KUBECONFIG }).config.manifold).toMatchObject({
      kubeconfig: '/etc/k',
    });
  });

  test.each(['{', '[]', 'password'])(
    'with %j in it is refused without showing it, but not for DEL',
    (text) => {
      flat(text);
      expect(() => complete(KUBECONFIG)).toThrow(
        `the file is no JSON object (${directory}/whereabouts.conf)`,
      );
      expect(() => complete(KUBECONFIG)).not.toThrow('password');
      const { config, remarks } = complete(KUBECONFIG, {}, { forDel: true });
      expect(config.manifold).toMatchObject({ kubeconfig: '/etc/k' });
      expect(remarks.map(({ event }) => event)).toContain('defaults of Whereabouts not read');
    },
  );

  test('may hold settings of ours, under those of the node', () => {
    flat({ ...KUBECONFIG, manifold: { whereabouts: 'closed', nodeName: 'flat' } });
    const { config } = complete({}, { manifold: { nodeName: 'node' } });
    expect(config.manifold).toMatchObject({ whereabouts: 'closed', nodeName: 'node' });
  });
});

describe('a flat file that only the configuration names', () => {
  let named: string;
  beforeEach(() => {
    named = mkdtempSync(join(tmpdir(), 'manifold-named-'));
  });
  afterEach(() => rmSync(named, { recursive: true }));
  const write = (keys: JsonObject) => {
    writeFileSync(join(named, 'whereabouts.conf'), JSON.stringify(keys));
    return { configuration_path: named };
  };
  const NODE = { stateDir: '/s', runDir: '/r', logLevel: 'info' };

  test('chooses no setting of ours where the node has its own', () => {
    const theirs = { logFile: '/theirs', nodeName: 'victim', stateDir: '/theirs', whereabouts: 'closed' };
    const keys = write({
      network_name: 'own',
      log_file: '/theirs',
      log_level: 'debug',
      manifold: theirs,
      ...KUBECONFIG,
    });
    writeFileSync(join(named, 'nodename'), 'victim');
    const { config, remarks } = complete(keys, { manifold: NODE });
    expect(config.ipam).toMatchObject({ network_name: 'own' });
    expect(config.manifold).toEqual({ ...NODE, kubeconfig: '/etc/k', whereabouts: 'open' });
    expect(remarks.map(({ event }) => event)).toContain("keys not taken from a file that is not the node's");
  });

  test('chooses no file to which root appends, whoever calls', () => {
    const keys = write({
      log_file: '/theirs',
      manifold: { logFile: '/theirs', nodeName: 'n' },
      ...KUBECONFIG,
    });
    const { config } = complete(keys);
    expect(config.manifold).toMatchObject({ nodeName: 'n' });
    expect(config.manifold).not.toHaveProperty('logFile');
  });

  test.each<[string, () => void, RegExp]>([
    [
      'others may write',
      () => chmodSync(join(named, 'whereabouts.conf'), 0o666),
      /it is writable by group or others/,
    ],
    ['lies where others may put files', () => chmodSync(named, 0o777), /its directory .* is writable/],
    [
      'is a FIFO',
      () => {
        rmSync(join(named, 'whereabouts.conf'));
        execFileSync('mkfifo', [join(named, 'whereabouts.conf')]);
      },
      /no regular file/,
    ],
  ])('is refused where it %s, but not for DEL', (_, spoil, reason) => {
    const keys = { ...write({ network_name: 'own' }), ...KUBECONFIG };
    spoil();
    expect(() => complete(keys)).toThrow(reason);
    expect(() => complete(keys)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('chown root') }),
    );
    const { config, remarks } = complete(keys, {}, { forDel: true });
    expect(config.ipam).not.toHaveProperty('network_name');
    expect(remarks.map(({ event }) => event)).toContain('defaults of Whereabouts not read');
  });

  test('the node is not called what a file beside it says that others may write', () => {
    writeFileSync(join(named, 'nodename'), 'victim');
    chmodSync(join(named, 'nodename'), 0o666);
    const keys = { configuration_path: named, ...KUBECONFIG };
    expect(() => complete(keys)).toThrow(/writable by group or others/);
    expect(complete(keys, {}, { forDel: true }).config.manifold).not.toHaveProperty('nodeName');
  });
});

test('without any kubeconfig it is refused, but not for DEL', () => {
  expect(() => complete({ range: '10.1.0.0/24' })).toThrow("Cannot use 'ipam.kubernetes.kubeconfig'");
  expect(complete({ range: '10.1.0.0/24' }, {}, { forDel: true }).remarks).toHaveLength(1);
  const node = complete({ range: '10.1.0.0/24' }, { manifold: { kubeconfig: '/node' } });
  expect(node.config.manifold).toMatchObject({ kubeconfig: '/node' });
});

test('the node is called what the file nodename says, unless NODENAME does', () => {
  writeFileSync(join(directory, 'nodename'), 'worker-7\n');
  const keys = { ...KUBECONFIG, configuration_path: directory };
  expect(complete(keys).config.manifold).toMatchObject({ nodeName: 'worker-7' });
  expect(complete(keys, {}, { env: { NODENAME: 'other' } }).config.manifold).not.toHaveProperty('nodeName');
});

describe('the log', () => {
  test.each([
    ['debug', 'debug'],
    ['verbose', 'info'],
    ['error', 'error'],
    ['panic', 'error'],
    ['loud', undefined],
  ])('level %s is our level %s', (log_level, level) => {
    expect(complete({ ...KUBECONFIG, log_level }).config.manifold).toEqual(
      expect.objectContaining(level === undefined ? {} : { logLevel: level }),
    );
  });

  test('file is that of the configuration, or of the flat file where the node has set where its state is', () => {
    const keys = { ...KUBECONFIG, log_file: '/var/log/nad.log' };
    expect(complete(keys).config.manifold).toMatchObject({ logFile: '/var/log/nad.log' });
    const node = { manifold: { stateDir: '/s' } };
    expect(complete(keys, node).config.manifold).not.toHaveProperty('logFile');
    flat({ log_file: '/var/log/flat.log' });
    expect(complete(KUBECONFIG, node).config.manifold).toMatchObject({ logFile: '/var/log/flat.log' });
  });
});

describe('ranges', () => {
  test.each([
    [{ range: '10.1.0.0/24', range_start: '10.2.0.5' }, {}, 'it lies outside 10.1.0.0/24'],
    [{ range: '10.1.0.0/24', range_end: 'fd00::1' }, {}, 'it lies outside 10.1.0.0/24'],
    [{ range: '10.1.0.0/24', range_start: 'nonsense' }, {}, 'it is no address'],
    [
      { range: '10.1.0.0/24', range_start: '10.1.0.9', range_end: '10.1.0.5' },
      { range_start: '10.1.0.9' },
      'it lies before range_start',
    ],
    [{ range: '10.1.0.10-10.1.0.20/24', range_start: '10.1.0.15' }, {}, 'the range says it'],
  ])('%j is taken as %j, and the log says that %s', (keys, left, reason) => {
    const { config, remarks } = complete({ ...KUBECONFIG, ...keys });
    expect(config.ipam).toEqual({ type: 'whereabouts', ...KUBECONFIG, range: keys.range, ...left });
    expect(remarks.map(({ fields }) => fields.reason)).toContain(reason);
    expect(parseIpamConfig(config).sets).toHaveLength(1);
  });

  test('of ipRanges are as lenient, and leading zeros are no octal numbers', () => {
    const { config } = complete({
      ...KUBECONFIG,
      gateway: '010.001.0.1',
      ipRanges: [{ range: '010.1.0.010-10.1.0.020/24' }, { range: 'fd00::/64', range_start: 'fd01::1' }],
    });
    expect(config.ipam).toMatchObject({
      gateway: '10.1.0.1',
      ipRanges: [{ range: '10.1.0.10-10.1.0.20/24' }, { range: 'fd00::/64' }],
    });
    expect(parseIpamConfig(config).sets).toHaveLength(2);
  });
});

test('what is no object in "ipam" is left to the parser', () => {
  const raw = { cniVersion: '1.0.0', name: 'n', type: 't', ipam: [] };
  expect(completeWhereabouts(raw, { env: {}, forDel: false }).config).toBe(raw);
});
