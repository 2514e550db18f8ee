import { safeParse } from 'valibot';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { requireDevice, sriovConfig, withLogging } from './config.ts';

const problems = (config: JsonObject): string[] => {
  const parsed = safeParse(sriovConfig, config);
  return parsed.success
    ? []
    : parsed.issues.map((issue) => `${issue.path?.map(({ key }) => key).join('.') ?? ''} ${issue.message}`);
};

describe('is taken', () => {
  test.each<[string, JsonObject]>([
    ['nothing at all', {}],
    [
      'every key',
      {
        deviceID: '0000:3b:10.4',
        vlan: 100,
        vlanQoS: 3,
        vlanProto: '802.1ad',
        mac: '02:00:5E:00:53:01',
        spoofchk: 'on',
        trust: 'off',
        link_state: 'auto',
        min_tx_rate: 10,
        max_tx_rate: 100,
        mtu: 9000,
        logLevel: 'debug',
        logFile: '/var/log/sriov.log',
        ipam: { type: 'static' },
      },
    ],
    [
      'what the SR-IOV operator writes',
      {
        vlan: 0,
        vlanQoS: 0,
        vlanProto: '802.1q',
        spoofchk: 'on',
        trust: 'off',
        link_state: 'auto',
        logLevel: 'info',
      },
    ],
    ['a protocol in capitals', { vlan: 5, vlanProto: '802.1AD' }],
    ['a minimum without a maximum', { min_tx_rate: 100 }],
    ['a minimum below "no maximum"', { min_tx_rate: 100, max_tx_rate: 0 }],
    [
      'what the runtime adds',
      {
        runtimeConfig: {
          deviceID: '0000:3b:10.4',
          mac: '02:00:5e:00:53:01',
          CNIDeviceInfoFile: '/var/run/k8s.cni.cncf.io/devinfo/cni/a-b_net1',
        },
      },
    ],
  ])('%s', (_, config) => {
    expect(problems(config)).toEqual([]);
  });
});

describe('is refused', () => {
  test.each<[JsonObject, string]>([
    [{ vlan: 4095 }, 'vlan must be an integer from 0 to 4094'],
    [{ vlan: -1 }, 'vlan must be an integer from 0 to 4094'],
    [{ vlan: '100' }, 'vlan must be an integer from 0 to 4094'],
    [{ vlan: 1, vlanQoS: 8 }, 'vlanQoS must be an integer from 0 to 7'],
    [{ vlanQoS: 3 }, 'vlanQoS must be 0 or absent without a VLAN ("vlan")'],
    [{ vlan: 0, vlanQoS: 3 }, 'vlanQoS must be 0 or absent without a VLAN ("vlan")'],
    [{ vlanProto: '802.1q' }, 'vlanProto must be 802.1q or absent without a VLAN ("vlan")'],
    [{ vlan: 0, vlanProto: '802.1ad' }, 'vlanProto must be 802.1q or absent without a VLAN ("vlan")'],
    [{ vlan: 1, vlanProto: '802.1x' }, 'vlanProto must be one of "802.1q", "802.1ad"'],
    [{ spoofchk: 'yes' }, 'spoofchk must be one of "on", "off"'],
    [{ trust: true }, 'trust must be one of "on", "off"'],
    [{ link_state: 'up' }, 'link_state must be one of "auto", "enable", "disable"'],
    [{ min_tx_rate: 200, max_tx_rate: 100 }, 'min_tx_rate must not be above "max_tx_rate"'],
    [{ max_tx_rate: -1 }, 'max_tx_rate must be an integer from 0 to 4294967295'],
    [{ mac: '01:00:5e:00:53:01' }, 'mac must be a unicast Ethernet MAC such as 02:00:5e:00:53:01'],
    [{ mtu: 70000 }, 'mtu must be an integer from 0 to 65535'],
    [{ logLevel: 'loud' }, 'logLevel must be one of "panic", "error", "warning", "info", "debug"'],
    [{ deviceID: '../../etc' }, 'deviceID must be the name of a PCI or auxiliary device'],
    ...[
      '/etc/passwd',
      '/var/run/k8s.cni.cncf.io/devinfo/cni/../../../x',
      '/var/run/k8s.cni.cncf.io/devinfo/dp/x',
    ].map((CNIDeviceInfoFile): [JsonObject, string] => [
      { runtimeConfig: { CNIDeviceInfoFile } },
      'runtimeConfig.CNIDeviceInfoFile must name a file in /var/run/k8s.cni.cncf.io/devinfo/cni',
    ]),
  ])('%j', (config, problem) => {
    expect(problems(config)).toEqual([problem]);
  });
});

describe('the device is', () => {
  const device = (config: JsonObject) => {
    const parsed = safeParse(sriovConfig, config);
    if (!parsed.success) throw new Error('not parsed');
    return requireDevice(parsed.output);
  };
  test('what the runtime names, before what the configuration does', () => {
    expect(device({ deviceID: 'a', runtimeConfig: { deviceID: 'b' } })).toBe('b');
    expect(device({ deviceID: 'a' })).toBe('a');
  });
  test('demanded', () => {
    expect(() => device({ runtimeConfig: {} })).toThrow(expect.objectContaining({ code: 'bad-config' }));
  });
});

describe("sriov-cni's own logging keys", () => {
  test.each([
    ['panic', 'error'],
    ['error', 'error'],
    ['warning', 'warn'],
    ['info', 'info'],
    ['debug', 'debug'],
  ])('%s is our %s', (logLevel, ours) => {
    expect(withLogging({ logLevel })).toMatchObject({ manifold: { logLevel: ours } });
  });
  test('count less than those of "manifold", and leave the rest of it alone', () => {
    const raw = { logLevel: 'debug', logFile: '/a', manifold: { logFile: '/b', stateDir: '/c' } };
    expect(withLogging(raw).manifold).toEqual({ logLevel: 'debug', logFile: '/b', stateDir: '/c' });
  });
  test('name no file where the node has said what root writes', () => {
    const raw = { logLevel: 'debug', logFile: '/theirs', manifold: { stateDir: '/c', runDir: '/r' } };
    expect(withLogging(raw).manifold).toEqual({ logLevel: 'debug', stateDir: '/c', runDir: '/r' });
    expect(withLogging({ logFile: '/nodes', manifold: {} }).manifold).toEqual({ logFile: '/nodes' });
  });
  test('are not looked for in what is wrong anyway', () => {
    for (const raw of [{ logLevel: 5 }, { logLevel: 'info', manifold: 'x' }, {}])
      expect(withLogging(raw)).toBe(raw);
  });
});
