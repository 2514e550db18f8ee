import { expect, test } from 'vitest';
import { readSavedVf, type SavedVf } from './saved-vf.ts';

const WITH_PF: SavedVf = {
  pci: '0000:3b:10.4',
  driver: 'igbvf',
  driverOverride: undefined,
  macFixed: true,
  rdmaName: 'mlx5_4',
  vf: {
    pf: '0000:3b:00.0',
    index: 2,
    was: {
      mac: '02:00:5e:00:53:01',
      vlan: 7,
      qos: 1,
      vlanProto: '802.1ad',
      spoofchk: true,
      trust: undefined,
      linkState: undefined,
      minTxRate: 0,
      maxTxRate: 100,
      nodeGuid: undefined,
      portGuid: undefined,
    },
    set: [{ vlan: 5, qos: 0, vlanProto: '802.1q' }, { trust: true }],
  },
};

test.each<[string, SavedVf]>([
  ['with a physical function', WITH_PF],
  ['without one', { ...WITH_PF, driver: 'vfio-pci', driverOverride: 'vfio-pci', vf: undefined }],
])('what is written of a virtual function %s is read again', (_, saved) => {
  expect(readSavedVf({ ...JSON.parse(JSON.stringify(saved)), host: {}, outside: true })).toEqual(saved);
});

test.each([{}, { outside: true, driver: 'vfio-pci' }, { ...WITH_PF, vf: { pf: 'x' } }])(
  'another record is none: %j',
  (saved) => {
    expect(readSavedVf(JSON.parse(JSON.stringify(saved)))).toBeUndefined();
  },
);
