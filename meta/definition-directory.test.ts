import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseManifests, readDefinitions } from './definition-directory.ts';
import { nodeFiles } from './files.ts';

const RAIL0 = `apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: rail0
  namespace: tenant
  annotations:
    k8s.v1.cni.cncf.io/resourceName: example.com/vf
spec:
  config: |
    {"cniVersion": "1.0.0", "type": "macvlan", "master": "eth0"}
`;
const read = (text: string, path = '/n/a.yaml') => parseManifests(text, path);

describe('a manifest', () => {
  test('gives its names, configuration and resource', () => {
    expect(read(RAIL0)).toEqual([
      {
        namespace: 'tenant',
        name: 'rail0',
        source: '/n/a.yaml',
        config: { cniVersion: '1.0.0', type: 'macvlan', master: 'eth0' },
        resourceName: 'example.com/vf',
      },
    ]);
  });

  test('without namespace it is in "default", without configuration it has none', () => {
    const text =
      'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: plain}\n';
    const plain = { namespace: 'default', name: 'plain', source: '/n/a.yaml', config: undefined };
    expect(read(text)).toEqual([plain]);
    expect(read(`${text}spec: {config: ''}\n`)).toEqual([plain]);
    expect(read(`${text}spec:\n`)).toEqual([plain]);
  });

  test('may stand with others in one file, which are counted', () => {
    const other = RAIL0.replace('rail0', 'rail1');
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n';
    expect(read(`${RAIL0}---\n${pod}---\n${other}`)).toMatchObject([
      { name: 'rail0', source: '/n/a.yaml, document 1' },
      { name: 'rail1', source: '/n/a.yaml, document 3' },
    ]);
  });

  test('may be an item of a List, in JSON too', () => {
    const item = {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name: 'a' },
    };
    const list = { apiVersion: 'v1', kind: 'List', items: [{ kind: 'Pod' }, item] };
    expect(read(JSON.stringify(list), '/n/a.json')).toMatchObject([
      { name: 'a', source: '/n/a.json, item 2' },
    ]);
  });

  test.each([
    ['{"x"', '/n/a.json', '/n/a.json: is not JSON'],
    [`${RAIL0}---\n[1, 2`, '/n/a.yaml', '/n/a.yaml, document 2: is not YAML'],
    [RAIL0.replace('{"cniVersion"', '{cniVersion'), '/n/a.yaml', '/n/a.yaml: spec.config is not JSON'],
    [RAIL0.replace(/\{"cniVersion".*/, '[1]'), '/n/a.yaml', '/n/a.yaml: spec.config is JSON, but no object'],
    [
      RAIL0.replace('name: rail0', 'name: Rail_0'),
      '/n/a.yaml',
      '/n/a.yaml: metadata.name must be lower case',
    ],
    [
      RAIL0.replace('namespace: tenant', 'namespace: ../x'),
      '/n/a.yaml',
      'metadata.namespace must be lower case',
    ],
    [RAIL0.replace('  name: rail0\n', ''), '/n/a.yaml', '/n/a.yaml: metadata.name is missing'],
    [
      RAIL0.replace(/config: \|\n.*/, 'config: {a: 1}'),
      '/n/a.yaml',
      'spec.config must be a string that holds JSON',
    ],
  ])('that is broken is told with file and document: %#', (text, path, problem) => {
    expect(
      read(text, path)
        .filter((one) => typeof one === 'string')
        .join(),
    ).toContain(problem);
  });

  test('with aliases that multiply without end is refused', () => {
    const bomb = [
      'a: &a [x]',
      ...[...'bcdefgh'].map((c, i) => `${c}: &${c} [${`*${'abcdefg'[i]},`.repeat(20)}]`),
    ].join('\n');
    expect(read(bomb).join()).toContain('is not usable YAML');
  });
});

describe('the directory', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'manifold-networks-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text);

  test('is read in the order of its files, and what is no manifest is left alone', () => {
    write('b.yaml', RAIL0.replace('rail0', 'b'));
    write('a.yml', RAIL0.replace('rail0', 'a'));
    write('.c.yaml', RAIL0.replace('rail0', 'c'));
    write('d.yaml~', RAIL0.replace('rail0', 'd'));
    const { definitions, problems, files } = readDefinitions(nodeFiles, directory);
    expect(definitions.map((one) => one.name)).toEqual(['a', 'b']);
    expect({ problems, files }).toEqual({ problems: [], files: 2 });
  });

  test('a broken file does not hide the others, and two definitions of one name are a problem', () => {
    write('a.yaml', RAIL0);
    write('b.json', '{');
    write('c.yaml', RAIL0);
    const { definitions, problems } = readDefinitions(nodeFiles, directory);
    expect(definitions).toHaveLength(2);
    expect(problems).toEqual([
      expect.stringContaining('b.json: is not JSON'),
      expect.stringContaining('tenant/rail0 is already defined in'),
    ]);
  });

  test('only files that mention the word are parsed', () => {
    write('a.yaml', RAIL0);
    write('b.json', '{');
    expect(readDefinitions(nodeFiles, directory, ['rail0'])).toMatchObject({
      definitions: [{ name: 'rail0' }],
      problems: [],
    });
  });

  test('that is missing has nothing, and one that is a file is an error that names it', () => {
    expect(readDefinitions(nodeFiles, join(directory, 'none'))).toMatchObject({ definitions: [], files: 0 });
    write('file', '');
    expect(() => readDefinitions(nodeFiles, join(directory, 'file'))).toThrow(
      `Cannot list ${directory}/file`,
    );
  });
});

describe('entries of the directory that are no manifests', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'manifold-odd-'));
    writeFileSync(join(directory, 'good.yaml'), RAIL0);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test.each<[string, (path: string) => void, string]>([
    ['a directory', (path) => mkdirSync(path), 'it is no file'],
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), 'it is no file'],
    ['a link to a device', (path) => symlinkSync('/dev/zero', path), 'it is no file'],
    ['a link to itself', (path) => symlinkSync(path, path), 'ELOOP'],
    ['an endless file', (path) => writeFileSync(path, 'tenant rail0 '.repeat(400_000)), 'is longer than'],
  ])('%s is named, and the others are read', (_what, make, problem) => {
    make(join(directory, 'odd.yaml'));
    const found = readDefinitions(nodeFiles, directory);
    expect(found.definitions).toMatchObject([{ name: 'rail0' }]);
    expect(found.problems).toEqual([expect.stringContaining(problem)]);
  });

  test('a mapping of 20,000 keys is read like any other', () => {
    const keys = Array.from({ length: 20_000 }, (_, n) => `k${n}: ${n}`).join('\n');
    expect(read(keys)).toEqual([]);
  });

  test('a byte order mark is passed over', () => {
    writeFileSync(join(directory, 'bom.json'), `\uFEFF${JSON.stringify({ kind: 'Pod' })}`);
    expect(readDefinitions(nodeFiles, directory).problems).toEqual([]);
  });
});
