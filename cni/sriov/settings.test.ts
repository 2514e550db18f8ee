import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { sriovConfig } from './config.ts';
import { differences, isSet, settingsBack, type VfChange, type VfState, wantedSettings } from './settings.ts';

const FRESH: VfState = {
  mac: '00:00:00:00:00:00',
  vlan: 0,
  qos: 0,
  vlanProto: '802.1q',
  spoofchk: true,
  trust: false,
  linkState: 'auto',
  minTxRate: 0,
  maxTxRate: 0,
  nodeGuid: undefined,
  portGuid: undefined,
};
const MAC = '02:00:5e:00:53:01';
const config = (keys: JsonObject) => v.parse(sriovConfig, keys);

describe('a configuration asks for', () => {
  test.each<[JsonObject, string | undefined, VfState, VfChange[]]>([
    [{}, undefined, FRESH, []],
    [{ vlan: 100 }, undefined, FRESH, [{ vlan: 100, qos: 0, vlanProto: '802.1q' }]],
    [{ vlan: 0 }, undefined, FRESH, [{ vlan: 0, qos: 0, vlanProto: '802.1q' }]],
    [
      { vlan: 5, vlanQoS: 3, vlanProto: '802.1AD' },
      undefined,
      FRESH,
      [{ vlan: 5, qos: 3, vlanProto: '802.1ad' }],
    ],
    [{}, MAC, FRESH, [{ mac: MAC }]],
    [{ max_tx_rate: 100 }, undefined, { ...FRESH, minTxRate: 7 }, [{ minTxRate: 7, maxTxRate: 100 }]],
    [{ min_tx_rate: 5 }, undefined, { ...FRESH, maxTxRate: 70 }, [{ minTxRate: 5, maxTxRate: 70 }]],
    [
      { spoofchk: 'off', trust: 'on', link_state: 'disable' },
      undefined,
      FRESH,
      [{ spoofchk: false }, { trust: true }, { linkState: 'disable' }],
    ],
  ])('%j (MAC %s)', (keys, mac, now, settings) => {
    expect(wantedSettings(config(keys), mac, now)).toEqual(settings);
  });
});

describe('the way back', () => {
  test('is empty for what is as it was, and leaves the MAC to others', () => {
    expect(settingsBack(FRESH, { ...FRESH, mac: MAC })).toEqual([]);
  });

  test('sets what differs, a group as a whole, also what nobody asked for', () => {
    const now: VfState = { ...FRESH, qos: 3, maxTxRate: 5, trust: true, linkState: 'enable' };
    expect(settingsBack(FRESH, now)).toEqual([
      { vlan: 0, qos: 0, vlanProto: '802.1q' },
      { minTxRate: 0, maxTxRate: 0 },
      { trust: false },
      { linkState: 'auto' },
    ]);
  });

  test('leaves alone what the driver did not tell', () => {
    const silent: VfState = { ...FRESH, spoofchk: undefined, trust: undefined, linkState: undefined };
    expect(settingsBack(silent, { ...silent, spoofchk: true })).toEqual([]);
  });
});

test('a setting is there when all of its group is', () => {
  const change: VfChange = { vlan: 5, qos: 3, vlanProto: '802.1q' };
  expect(isSet(change, { ...FRESH, vlan: 5, qos: 3 })).toBe(true);
  expect(isSet(change, { ...FRESH, vlan: 5 })).toBe(false);
});

test('differences name what is and what should be', () => {
  const now: VfState = { ...FRESH, trust: undefined };
  expect(differences({ vlan: 5, qos: 0, vlanProto: '802.1ad' }, now)).toEqual([
    'vlan is 0, not 5',
    'VLAN protocol is 802.1q, not 802.1ad',
  ]);
  expect(differences({ trust: true }, now)).toEqual([]);
  expect(isSet({ trust: true }, now)).toBe(false);
  expect(differences({ spoofchk: false }, now)).toEqual(['spoofchk is on, not off']);
});
