import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readResult } from './read-result.ts';
import type { CniResult } from './result.ts';
import { type CniVersion, isAtLeast, SUPPORTED_VERSIONS } from './versions.ts';
import { writeResult } from './write-result.ts';

const byte = fc.nat(255);
const word = fc.nat(0xffff).map((value) => value.toString(16));
const ip4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
const ip6 = fc.tuple(word, word, word).map((words) => `fd00:${words.join(':')}::1`);
const ip = fc.oneof(ip4, ip6);
const cidr = fc.oneof(
  fc.tuple(ip4, fc.nat(32)).map(([address, length]) => `${address}/${length}`),
  fc.tuple(ip6, fc.nat(128)).map(([address, length]) => `${address}/${length}`),
);
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const record = <T extends object>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
  ...requiredKeys: (keyof T)[]
) => fc.record(model, { requiredKeys, noNullPrototype: true });

const cniInterface = record(
  { name, mac: name, mtu: fc.integer({ min: 1 }), sandbox: name, socketPath: name, pciID: name },
  'name',
);
const cniIp = record({ address: cidr, gateway: ip, interface: fc.nat(9) }, 'address');
const positive = fc.integer({ min: 1, max: 99_999 });
const route = record(
  { dst: cidr, gw: ip, mtu: positive, advmss: positive, priority: positive, table: fc.nat(), scope: byte },
  'dst',
);
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 4 });
const dns = record({ nameservers: some(ip), domain: name, search: some(name), options: some(name) }).filter(
  (one) => Object.keys(one).length > 0,
);
const result: fc.Arbitrary<CniResult> = record({
  interfaces: some(cniInterface),
  ips: some(cniIp),
  routes: some(route),
  dns,
});
const version = fc.constantFrom(...SUPPORTED_VERSIONS);
const carried = (from: CniResult, spoken: CniVersion) => readResult(writeResult(from, spoken), spoken, '');

describe('results in other versions', () => {
  test('the newest version carries everything', () => {
    fc.assert(
      fc.property(result, (from) => {
        expect(carried(from, '1.1.0')).toEqual(from);
      }),
    );
  });

  test('what a version has carried once it carries again', () => {
    fc.assert(
      fc.property(result, version, (from, spoken) => {
        const once = carried(from, spoken);
        expect(carried(once, spoken)).toEqual(once);
      }),
    );
  });

  test('an older version carries nothing that a newer one does not', () => {
    fc.assert(
      fc.property(result, version, version, (from, a, b) => {
        const older = isAtLeast(a, b) ? b : a;
        expect(carried(carried(from, a), b)).toEqual(carried(from, older));
      }),
    );
  });

  test('from 0.3.0 on, every address, interface and destination is carried', () => {
    fc.assert(
      fc.property(result, version, (from, spoken) => {
        fc.pre(isAtLeast(spoken, '0.3.0'));
        const to = carried(from, spoken);
        expect(to.ips).toEqual(from.ips);
        expect(to.interfaces?.map((one) => one.name)).toEqual(from.interfaces?.map((one) => one.name));
        expect(to.routes?.map((one) => one.dst)).toEqual(from.routes?.map((one) => one.dst));
        expect(to.dns).toEqual(from.dns);
      }),
    );
  });

  test('every version has just the keys that it knows', () => {
    const keys = (value: unknown, path = ''): string[] => {
      if (Array.isArray(value)) return value.flatMap((one) => keys(one, `${path}[]`));
      if (typeof value !== 'object' || value === null) return [path];
      return Object.entries(value).flatMap(([key, inner]) => keys(inner, `${path}.${key}`));
    };
    fc.assert(
      fc.property(result, version, (from, spoken) => {
        const strange = keys(writeResult(from, spoken)).filter((key) => !KEYS[spoken].includes(key));
        expect(strange).toEqual([]);
      }),
    );
  });
});

const DNS = ['.dns.nameservers[]', '.dns.domain', '.dns.search[]', '.dns.options[]'];
const FAMILY = ['.ip', '.gateway', '.routes[].dst', '.routes[].gw'];
const LEGACY = [
  '.cniVersion',
  ...FAMILY.map((key) => `.ip4${key}`),
  ...FAMILY.map((key) => `.ip6${key}`),
  ...DNS,
];
const IPS = ['.ips[].address', '.ips[].gateway', '.ips[].interface'];
const LINKS = ['.interfaces[].name', '.interfaces[].mac', '.interfaces[].sandbox'];
const V100 = ['.cniVersion', ...IPS, ...LINKS, '.routes[].dst', '.routes[].gw', ...DNS];
const V030 = [...V100, '.ips[].version'];
const MORE = ['mtu', 'advmss', 'priority', 'table', 'scope'].map((key) => `.routes[].${key}`);
const V110 = [...V100, ...['mtu', 'socketPath', 'pciID'].map((key) => `.interfaces[].${key}`), ...MORE];
const KEYS: Readonly<Record<CniVersion, readonly string[]>> = {
  '0.1.0': LEGACY,
  '0.2.0': LEGACY,
  '0.3.0': V030,
  '0.3.1': V030,
  '0.4.0': V030,
  '1.0.0': V100,
  '1.1.0': V110,
};

describe('by example', () => {
  const from: CniResult = {
    interfaces: [{ name: 'net1', mtu: 1400 }],
    ips: [{ address: 'fd00::2/64' }, { address: '10.0.0.2/24', interface: 0 }, { address: '10.0.0.3/24' }],
    routes: [{ dst: '::/0' }, { dst: '0.0.0.0/0', gw: '10.0.0.1', mtu: 1300 }],
  };

  test('0.2.0 has the first address of each family, with the routes of that family', () => {
    expect(writeResult(from, '0.2.0')).toEqual({
      cniVersion: '0.2.0',
      ip4: { ip: '10.0.0.2/24', routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }] },
      ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
    });
  });

  test('0.4.0 says the family of each address', () => {
    expect(writeResult(from, '0.4.0').ips).toEqual([
      { version: '6', address: 'fd00::2/64' },
      { version: '4', interface: 0, address: '10.0.0.2/24' },
      { version: '4', address: '10.0.0.3/24' },
    ]);
  });

  test('what Go writes for nothing is read as nothing', () => {
    const go = {
      cniVersion: '0.4.0',
      interfaces: null,
      ips: [{ address: '10.0.0.1/8', gateway: '' }],
      dns: {},
    };
    expect(readResult(go, '0.4.0', '')).toEqual({ ips: [{ address: '10.0.0.1/8' }] });
  });

  test('a prevResult speaks its own version where it says one', () => {
    const old = { cniVersion: '0.2.0', ip4: { ip: '10.0.0.1/8' } };
    expect(readResult(old, '1.1.0', 'prevResult')).toEqual({ ips: [{ address: '10.0.0.1/8' }] });
    expect(() => readResult({ cniVersion: '7.0.0' }, '1.1.0', 'prevResult')).toThrow(
      "'prevResult.cniVersion'",
    );
  });
});
