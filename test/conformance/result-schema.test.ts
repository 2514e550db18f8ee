// Results and the complaint that each must cause.
import { test } from 'vitest';
import type { JsonObject } from './json.ts';
import { complaintsAbout } from './result-schema.ts';
import type { Kind } from './row.ts';
import type { SpecVersion } from './spec-versions.ts';

const OWN = { name: 'net1', mac: '02:00:5e:00:53:01', sandbox: '/run/netns/a' };
const FULL = {
  interfaces: [OWN],
  ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 }],
  dns: {},
};
const OLD_IP = { version: '4', address: '10.1.0.2/24', interface: 0 };

const GOOD: readonly (readonly [SpecVersion, Kind, JsonObject])[] = [
  ['0.1.0', 'interface', { ip4: { ip: '10.1.0.2/24', routes: [{ dst: '0.0.0.0/0' }] } }],
  [
    '0.2.0',
    'ipam',
    { ip6: { ip: '2001:db8::2/64', gateway: '2001:db8::1' }, dns: { nameservers: ['10.1.0.1'] } },
  ],
  ['0.3.1', 'interface', { interfaces: [OWN], ips: [OLD_IP] }],
  ['1.0.0', 'interface', FULL],
  ['1.1.0', 'meta', { ...FULL, interfaces: [{ ...OWN, mtu: 1500, pciID: '0000:01:00.0' }] }],
  [
    '1.1.0',
    'ipam',
    { ips: [{ address: '10.1.0.2/24' }], routes: [{ dst: '10.0.0.0/8', mtu: 1400, table: 7 }] },
  ],
];

test.for(GOOD)('a good result of %s for %s causes no complaint', ([version, kind, result], { expect }) => {
  expect(complaintsAbout(result, version, kind)).toEqual([]);
});

const BAD: readonly (readonly [string, SpecVersion, Kind, JsonObject])[] = [
  ['interfaces is missing', '1.0.0', 'interface', { ips: [] }],
  ['interfaces is no list of objects', '1.0.0', 'interface', { interfaces: ['net1'] }],
  ['interfaces[0].name is no name', '1.0.0', 'interface', { interfaces: [{ mac: '' }] }],
  ['interfaces[0].mac is no string', '1.0.0', 'interface', { interfaces: [{ ...OWN, mac: 7 }] }],
  ['interfaces[0].mtu came with 1.1.0', '1.0.0', 'interface', { interfaces: [{ ...OWN, mtu: 1500 }] }],
  ['interfaces[0].mtu is no whole number', '1.1.0', 'interface', { interfaces: [{ ...OWN, mtu: '1500' }] }],
  ['ips[0].version went with 1.0.0', '1.0.0', 'interface', { interfaces: [OWN], ips: [OLD_IP] }],
  [
    'ips[0].version is not "4"',
    '0.4.0',
    'interface',
    { interfaces: [OWN], ips: [{ address: '10.1.0.2/24' }] },
  ],
  ['ips[0].address is no address with prefix length', '1.0.0', 'ipam', { ips: [{ address: '10.1.0.2' }] }],
  [
    'ips[0].gateway is no address',
    '1.0.0',
    'ipam',
    { ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1/24' }] },
  ],
  ['ips[0].interface is no index of interfaces', '1.0.0', 'meta', { ...FULL, interfaces: [] }],
  ['ips[0].interface is there, in the result of an IPAM plugin', '1.0.0', 'ipam', { ips: FULL.ips }],
  ['interfaces is there, in the result of an IPAM plugin', '1.0.0', 'ipam', { interfaces: [] }],
  ['ip4 went with 0.3.0', '0.3.0', 'ipam', { ip4: { ip: '10.1.0.2/24' } }],
  ['ips came with 0.3.0', '0.2.0', 'ipam', { ips: [] }],
  ['ip6.ip is no IPv6 address with prefix length', '0.1.0', 'ipam', { ip6: { ip: '10.1.0.2/24' } }],
  ['routes[0].dst is no CIDR', '1.0.0', 'ipam', { routes: [{ dst: 'default' }] }],
  ['routes[0].mtu came with 1.1.0', '1.0.0', 'ipam', { routes: [{ dst: '10.0.0.0/8', mtu: 1400 }] }],
  ['dns.search is no list of strings', '1.1.0', 'ipam', { dns: { search: 'example.com' } }],
];

test.for(BAD)('%s (%s, %s)', ([complaint, version, kind, result], { expect }) => {
  expect(complaintsAbout(result, version, kind)).toEqual([complaint]);
});
