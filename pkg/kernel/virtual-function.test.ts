import { describe, expect, test } from 'vitest';
import { attribute, nested, u32 } from './attributes.ts';
import { readVirtualFunctions, vfSettings } from './virtual-function.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** One IFLA_VF_INFO as a driver fills it in; every struct spelt out as if_link.h has it, little-endian. */
const VF_3 = nested(1, [
  attribute(1, hex(`03000000 02005e005301 ${'00'.repeat(26)}`)), // IFLA_VF_MAC: 4 + 32 bytes
  attribute(13, hex(`ffffffffffff ${'00'.repeat(26)}`)), // IFLA_VF_BROADCAST
  attribute(2, hex('03000000 64000000 05000000')), // IFLA_VF_VLAN: vlan 100, qos 5
  attribute(6, hex('03000000 0a000000 e8030000')), // IFLA_VF_RATE: 10 to 1000
  attribute(3, hex('03000000 e8030000')), // IFLA_VF_TX_RATE
  attribute(4, hex('03000000 01000000')), // IFLA_VF_SPOOFCHK
  attribute(5, hex('03000000 02000000')), // IFLA_VF_LINK_STATE: disable
  attribute(7, hex('03000000 ffffffff')), // IFLA_VF_RSS_QUERY_EN
  attribute(9, hex('03000000 00000000')), // IFLA_VF_TRUST
  nested(12, [attribute(1, hex('03000000 64000000 05000000 88a8 0000'))]), // IFLA_VF_VLAN_LIST
]);

describe('the GUIDs of InfiniBand', () => {
  /** struct ifla_vf_guid of a little-endian machine: number, four bytes of padding, the GUID as a number. */
  const NODE = '14000a00 03000000 00000000 0153 0000 0000 0002';
  const PORT = '14000b00 03000000 00000000 0253 0000 0000 0002';

  test('are read as people write them', () => {
    const info = nested(1, [attribute(1, hex(`03000000 ${'00'.repeat(32)}`)), hex(NODE), hex(PORT)]);
    const [vf] = readVirtualFunctions(Buffer.from(info), 20);
    expect(vf).toMatchObject({ nodeGuid: '02:00:00:00:00:00:53:01', portGuid: '02:00:00:00:00:00:53:02' });
    expect(vf?.mac).toHaveLength(59);
  });

  test('are set one by one, so that a refusal names which', () => {
    const [node, port] = vfSettings({
      index: 3,
      nodeGuid: '02:00:00:00:00:00:53:01',
      portGuid: '02:00:00:00:00:00:53:02',
    });
    const list = (guid: string) => `1c001680 18000180 ${guid}`.replaceAll(' ', '');
    expect(node?.what).toBe('node GUID 02:00:00:00:00:00:53:01');
    expect(Buffer.from(node?.attribute ?? []).toString('hex')).toBe(list(NODE));
    expect(Buffer.from(port?.attribute ?? []).toString('hex')).toBe(list(PORT));
  });
});

describe('reading virtual functions', () => {
  test('gives each attribute', () => {
    expect(readVirtualFunctions(Buffer.from(VF_3), 6)).toEqual([
      {
        index: 3,
        mac: '02:00:5e:00:53:01',
        vlan: 100,
        qos: 5,
        vlanProto: '802.1ad',
        spoofchk: true,
        trust: false,
        linkState: 'disable',
        minTxRate: 10,
        maxTxRate: 1000,
        nodeGuid: undefined,
        portGuid: undefined,
      },
    ]);
  });

  test('takes what a driver leaves out as unknown or as the default', () => {
    const bare = nested(1, [
      attribute(1, hex(`00000000 ${'00'.repeat(32)}`)),
      attribute(4, hex('00000000 ffffffff')),
      attribute(9, hex('00000000 ffffffff')),
    ]);
    expect(readVirtualFunctions(Buffer.from(bare), 6)).toEqual([
      {
        index: 0,
        mac: '00:00:00:00:00:00',
        vlan: 0,
        qos: 0,
        vlanProto: '802.1q',
        spoofchk: undefined,
        trust: undefined,
        linkState: undefined,
        minTxRate: 0,
        maxTxRate: 0,
        nodeGuid: undefined,
        portGuid: undefined,
      },
    ]);
  });

  test('gives all of a list, and the long MACs of InfiniBand', () => {
    const second = nested(1, [attribute(1, hex(`04000000 ${'ab'.repeat(20)} ${'00'.repeat(12)}`))]);
    const both = readVirtualFunctions(Buffer.concat([VF_3, second]), 20);
    expect(both.map(({ index }) => index)).toEqual([3, 4]);
    expect(both[1]?.mac).toBe(Array(20).fill('ab').join(':'));
  });
});

describe('setting virtual functions', () => {
  // nla_len, nla_type: 0x8016 is IFLA_VFINFO_LIST, 0x8001 IFLA_VF_INFO, both NLA_F_NESTED.
  test.each([
    [
      { mac: '02:00:5e:00:53:01' },
      'mac 02:00:5e:00:53:01',
      `3000 1680 2c00 0180 2800 0100 03000000 02005e005301 ${'00'.repeat(26)}`,
    ],
    [
      { vlan: 100, qos: 5, vlanProto: '802.1ad' as const },
      'vlan 100 qos 5 802.1ad',
      '2000 1680 1c00 0180 1800 0c80 1400 0100 03000000 64000000 05000000 88a8 0000',
    ],
    [
      { vlan: 0 },
      'vlan 0 qos 0 802.1q',
      '2000 1680 1c00 0180 1800 0c80 1400 0100 03000000 00000000 00000000 8100 0000',
    ],
    [
      { minTxRate: 10, maxTxRate: 1000 },
      'tx rate 10 to 1000 Mbit/s',
      '1800 1680 1400 0180 1000 0600 03000000 0a000000 e8030000',
    ],
    [{ spoofchk: false }, 'spoofchk off', '1400 1680 1000 0180 0c00 0400 03000000 00000000'],
    [{ trust: true }, 'trust on', '1400 1680 1000 0180 0c00 0900 03000000 01000000'],
    [
      { linkState: 'enable' as const },
      'link state enable',
      '1400 1680 1000 0180 0c00 0500 03000000 01000000',
    ],
  ])('%o is these bytes', (change, what, bytes) => {
    const settings = vfSettings({ index: 3, ...change });
    expect(settings.map((setting) => setting.what)).toEqual([what]);
    expect(settings.map((setting) => Buffer.from(setting.attribute).toString('hex'))).toEqual([
      hex(bytes).toString('hex'),
    ]);
  });

  test('of several kinds go one by one, trust and link state last', () => {
    const settings = vfSettings({
      index: 0,
      linkState: 'auto',
      trust: true,
      spoofchk: true,
      maxTxRate: 5,
      mac: '02:00:00:00:00:01',
      vlan: 7,
    });
    expect(settings.map(({ what }) => what)).toEqual([
      'vlan 7 qos 0 802.1q',
      'mac 02:00:00:00:00:01',
      'tx rate 0 to 5 Mbit/s',
      'spoofchk on',
      'trust on',
      'link state auto',
    ]);
  });

  test('of nothing is nothing', () => {
    expect(vfSettings({ index: 1 })).toEqual([]);
  });

  test('what is written is read back', () => {
    const change = {
      index: 9,
      vlan: 4000,
      qos: 7,
      vlanProto: '802.1ad' as const,
      mac: '02:00:00:00:00:09',
      spoofchk: true,
      trust: true,
      linkState: 'auto' as const,
      minTxRate: 1,
      maxTxRate: 2,
    };
    const inner = vfSettings(change).map(({ attribute: bytes }) => Buffer.from(bytes).subarray(8));
    // A driver reports vlan and qos in IFLA_VF_VLAN too.
    const vlan = attribute(2, hex('09000000 a00f0000 07000000'));
    expect(readVirtualFunctions(Buffer.from(nested(1, [...inner, vlan])), 6)).toEqual([change]);
  });
});

test('a list without virtual functions is empty', () => {
  expect(readVirtualFunctions(Buffer.alloc(0), 6)).toEqual([]);
  expect(readVirtualFunctions(Buffer.from(u32(2, 5)), 6)).toEqual([]);
});
