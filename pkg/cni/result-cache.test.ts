import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CachedAttachment,
  deleteCachedResult,
  listCachedResults,
  readCachedResult,
  writeCachedResult,
} from './result-cache.ts';

const entry: CachedAttachment = {
  network: 'tenant-a',
  containerId: 'c0ffee',
  ifname: 'net1',
  netns: '/run/netns/x',
  config: '{"name":"tenant-a","cniVersion":"0.4.0"}',
  args: { K8S_POD_NAME: 'p', IgnoreUnknown: '1' },
  capabilityArgs: { ips: ['10.0.0.1/8'] },
  cniVersion: '0.4.0',
  result: { ips: [{ address: '10.0.0.1/8' }] },
};

/** A process that dies between writing the draft and giving it its name. */
const DIES_WHILE_WRITING = `
  const fs = require('node:fs');
  fs.renameSync = () => process.kill(process.pid, 'SIGKILL');
  require('node:module').syncBuiltinESMExports();
  import(process.env.MODULE).then((cache) => cache.writeCachedResult(process.env.DIRECTORY, JSON.parse(process.env.ENTRY)));
`;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-cache-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const fail = (reason: string) => {
  throw new Error(reason);
};

describe("libcni's cache", () => {
  test('has the place and the form that libcni gives it', () => {
    writeCachedResult(directory, entry);
    const file = join(directory, 'results/tenant-a-c0ffee-net1');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      kind: 'cniCacheV1',
      containerId: 'c0ffee',
      config: 'eyJuYW1lIjoidGVuYW50LWEiLCJjbmlWZXJzaW9uIjoiMC40LjAifQ==',
      ifName: 'net1',
      networkName: 'tenant-a',
      netns: '/run/netns/x',
      cniArgs: [
        ['K8S_POD_NAME', 'p'],
        ['IgnoreUnknown', '1'],
      ],
      capabilityArgs: { ips: ['10.0.0.1/8'] },
      result: { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.1/8' }] },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['results']);
  });

  test.each([
    ['is written', () => writeCachedResult(directory, entry)],
    ['is deleted', () => deleteCachedResult(directory, entry)],
  ])('keeps no draft of a process that died, once the entry %s', (_name, work) => {
    const child = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '-e', DIES_WHILE_WRITING],
      {
        env: {
          MODULE: join(import.meta.dirname, 'result-cache.ts'),
          DIRECTORY: directory,
          ENTRY: JSON.stringify(entry),
        },
      },
    );
    expect(child.signal).toBe('SIGKILL');
    expect(readdirSync(directory)).toHaveLength(2);
    work();
    expect(readdirSync(directory)).toEqual(['results']);
  });

  test('gives back what was written, and nothing after it is deleted', () => {
    writeCachedResult(directory, entry);
    expect(readCachedResult(directory, entry)).toEqual(entry);
    expect(listCachedResults(directory, fail)).toEqual([entry]);
    deleteCachedResult(directory, entry);
    deleteCachedResult(directory, entry);
    expect(readCachedResult(directory, entry)).toBeUndefined();
    expect(listCachedResults(directory, fail)).toEqual([]);
  });

  test('does not take the file of another attachment whose names join to the same', () => {
    writeCachedResult(directory, entry);
    const other = { network: 'tenant', containerId: 'a-c0ffee', ifname: 'net1' };
    expect(readCachedResult(directory, other)).toBeUndefined();
  });

  test('names a damaged file, and leaves it out of the list', () => {
    writeCachedResult(directory, entry);
    const bad = join(directory, 'results/net-c-eth0');
    writeFileSync(bad, '{"kind":"cniCacheV1","contai');
    expect(() => readCachedResult(directory, { network: 'net', containerId: 'c', ifname: 'eth0' })).toThrow(
      bad,
    );
    const told: string[] = [];
    expect(listCachedResults(directory, (reason) => told.push(reason))).toEqual([entry]);
    expect(told).toEqual([expect.stringContaining(bad)]);
  });

  test('has no files before the first is written', () => {
    expect(listCachedResults(join(directory, 'none'), fail)).toEqual([]);
  });

  test('does not write outside its directory', () => {
    expect(() => writeCachedResult(directory, { ...entry, network: '../../x' })).toThrow(
      'Cannot name a cache entry',
    );
  });

  test('says what failed when it cannot write', () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect(() => writeCachedResult(file, entry)).toThrow(expect.objectContaining({ code: 'io' }));
  });
});
