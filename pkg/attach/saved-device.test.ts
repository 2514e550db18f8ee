import { describe, expect, test } from 'vitest';
import type { Link } from '../kernel/kernel.ts';
import { describeDevice, deviceKey, isDevice, readSaved } from './saved-device.ts';

const NIC: Link = {
  ...{
    index: 5,
    name: 'ens1f0',
    mac: '02:00:5e:00:53:01',
    permMac: '02:00:5e:00:53:01',
    mtu: 1500,
    maxMtu: 9000,
  },
  ...{
    up: true,
    running: true,
    loopback: false,
    infiniband: false,
    promisc: false,
    allmulti: false,
    multicast: true,
    arp: true,
  },
  ...{
    txQueueLength: 1000,
    group: 0,
    alias: undefined,
    altnames: [],
    kind: undefined,
    vfs: [],
    macvlan: undefined,
  },
  ...{ parentIndex: undefined, parentNetnsId: undefined, masterIndex: undefined },
  ...{ device: { bus: 'pci', name: '0000:3b:00.0' }, portName: undefined, portId: undefined },
};
const saved = (link: Link) => describeDevice(link, [], [], undefined);
/** What a pod, or the kernel, may have done to it. */
const CHANGED = { index: 77, name: 'net1', mac: '02:00:00:00:00:99', permMac: '02:00:00:00:00:99' };

describe('a device is known again', () => {
  test('by its place on the bus, whatever else has changed', () => {
    expect(isDevice(saved(NIC), { ...NIC, ...CHANGED }, undefined)).toBe(true);
    const other = { bus: 'pci', name: '0000:3b:00.1' };
    expect(isDevice(saved(NIC), { ...NIC, device: other }, undefined)).toBe(false);
    expect(isDevice(saved(NIC), { ...NIC, device: undefined }, undefined)).toBe(false);
  });

  test('among the representors of its function by the name of its port', () => {
    const third = saved({ ...NIC, portName: 'pf0vf3' });
    expect(isDevice(third, { ...NIC, ...CHANGED, portName: 'pf0vf3' }, undefined)).toBe(true);
    expect(isDevice(third, { ...NIC, portName: 'pf0vf4' }, undefined)).toBe(false);
    expect(isDevice(third, { ...NIC, portName: 'p0' }, undefined)).toBe(false);
  });

  test('among the ports of its function by the identity of its port', () => {
    const second = saved({ ...NIC, portId: '0c42a2' });
    expect(isDevice(second, { ...NIC, ...CHANGED, portId: '0c42a2' }, undefined)).toBe(true);
    expect(isDevice(second, { ...NIC, portId: '0c42a1' }, undefined)).toBe(false);
  });

  test('from its record after the store has kept it', () => {
    const kept = readSaved(JSON.parse(JSON.stringify(saved({ ...NIC, portName: 'p0', portId: '0c' }))));
    expect(kept).toEqual(saved({ ...NIC, portName: 'p0', portId: '0c' }));
  });
});

test('two interfaces of one function are two devices', () => {
  expect(deviceKey(NIC)).toBe('pci:0000:3b:00.0');
  expect(deviceKey(NIC, 'pf0vf3')).toBe('pci:0000:3b:00.0/pf0vf3');
  expect(deviceKey({ ...NIC, device: undefined })).toBe('mac:02:00:5e:00:53:01');
  expect(deviceKey({ ...NIC, device: undefined, permMac: undefined })).toBe('link:5');
});
