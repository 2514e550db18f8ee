import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNetworkList, readNetworkListFile } from './network-list.ts';

const list = (more: object) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'a' }], ...more });

describe('reading a list', () => {
  test('a list has its plugins in order', () => {
    const text = list({
      plugins: [{ type: 'a', x: 1 }, { type: 'b' }],
      disableCheck: true,
      disableGC: 'TRUE',
    });
    expect(parseNetworkList(text, 'here')).toEqual({
      name: 'net',
      cniVersion: '1.0.0',
      disableCheck: true,
      disableGC: true,
      plugins: [
        { type: 'a', config: { type: 'a', x: 1 } },
        { type: 'b', config: { type: 'b' } },
      ],
      source: text,
    });
  });

  test('a single configuration is a list of one', () => {
    const config = { cniVersion: '0.3.1', name: 'net', type: 'macvlan', master: 'eth0' };
    expect(parseNetworkList(JSON.stringify(config), 'here')).toMatchObject({
      name: 'net',
      cniVersion: '0.3.1',
      plugins: [{ type: 'macvlan', config }],
    });
  });

  test.each([
    [{ cniVersion: '0.4.0' }, '0.4.0'],
    [{ cniVersion: '0.4.0', cniVersions: ['1.0.0', '0.3.1'] }, '1.0.0'],
    [{ cniVersion: '1.1.0', cniVersions: ['1.0.0'] }, '1.1.0'],
    [{ cniVersion: '9.0.0', cniVersions: ['1.0.0', '2.0.0'] }, '1.0.0'],
    [{ cniVersion: undefined }, '0.1.0'],
  ])('of %j it speaks %s', (versions, spoken) => {
    expect(parseNetworkList(list(versions), 'here').cniVersion).toBe(spoken);
  });

  test.each([
    ['{', 'bad-json', 'JSON'],
    ['[]', 'bad-json', 'it is no JSON object'],
    [list({ cniVersion: '9.0.0' }), 'incompatible-version', '"9.0.0"'],
    [list({ name: undefined }), 'bad-config', "'name'"],
    [list({ name: '../x' }), 'bad-config', "'name'"],
    [list({ plugins: [] }), 'bad-config', "'plugins'"],
    [list({ plugins: undefined }), 'bad-config', "'plugins'"],
    [list({ plugins: { type: 'a' } }), 'bad-config', "'plugins'"],
    [list({ plugins: ['a'] }), 'bad-config', "'plugins[0]'"],
    [list({ plugins: [{ type: 'a' }, {}] }), 'bad-config', "'plugins[1].type'"],
    [list({ plugins: [{ type: '/bin/sh' }] }), 'bad-config', "'plugins[0].type'"],
    [list({ plugins: undefined, type: '..' }), 'bad-config', "'type'"],
    [list({ plugins: [{ type: 'a', capabilities: ['ips'] }] }), 'bad-config', "'plugins[0].capabilities'"],
    [list({ disableCheck: 1 }), 'bad-config', "'disableCheck'"],
  ])('%s is refused', (text, code, part) => {
    expect(() => parseNetworkList(text, 'net.yaml, document 2')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(part) }),
    );
    expect(() => parseNetworkList(text, 'net.yaml, document 2')).toThrow('net.yaml, document 2');
  });
});

describe('reading a list from a file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'manifold-list-'));
    mkdirSync(join(directory, 'net'));
    writeFileSync(join(directory, 'net/20.conf'), '{"type":"c"}');
    writeFileSync(join(directory, 'net/10.conf'), '{"type":"b"}');
    writeFileSync(join(directory, 'net/10.json'), '{');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const read = (text: string) => {
    const file = join(directory, 'one.conflist');
    writeFileSync(file, text);
    return readNetworkListFile(file).plugins.map((plugin) => plugin.type);
  };

  test('the plugins of the directory named after the network come behind its own', () => {
    expect(read(list({}))).toEqual(['a', 'b', 'c']);
    expect(read(list({ name: 'other' }))).toEqual(['a']);
  });

  test('a list may have all its plugins there, or want none of them', () => {
    expect(read(list({ plugins: undefined }))).toEqual(['b', 'c']);
    expect(read(list({ loadOnlyInlinedPlugins: true }))).toEqual(['a']);
    expect(() => read(list({ loadOnlyInlinedPlugins: true, plugins: undefined }))).toThrow("'plugins'");
  });

  test('a file that is not there is named', () => {
    expect(() => readNetworkListFile(join(directory, 'lost'))).toThrow(join(directory, 'lost'));
  });
});
