// What pkg/kernel sets of a virtual function through its physical one, read back from the kernel's own dump.
import { deepEqual, equal, match, throws } from 'node:assert/strict';
import type { LinkChange, VirtualFunction } from '../../../pkg/kernel/kernel.ts';
import { vmCase, vmGroup } from '../case.ts';
import { bindDriver } from '../guest/ports.ts';
import type { Vm } from '../guest/vm.ts';

/** Not the first: a number that is taken for another would be seen. */
const VF = 5;

type Settings = Partial<Omit<VirtualFunction, 'index'>>;

/** Of Ethernet, which has no GUIDs. */
const UNTOUCHED: Settings = {
  ...{ vlan: 0, qos: 0, spoofchk: true, trust: false, minTxRate: 0, maxTxRate: 0 },
  ...{ nodeGuid: undefined, portGuid: undefined },
};

/** Sets, and reads all virtual functions of the port: only the settings that were given have changed, of that one. */
function setAndCompare(vm: Vm, settings: Settings): void {
  const [port] = vm.ports;
  const before = port.link().vfs;
  setVf(vm, settings);
  const expected = before.map((vf) => (vf.index === VF ? { ...vf, ...settings } : vf));
  deepEqual(port.link().vfs, expected);
}

function setVf({ kernel, ports: [port] }: Vm, settings: Settings): void {
  const change: LinkChange = { vf: { index: VF, ...settings } };
  kernel.host().setLink(port.link().index, change);
}

const ACCEPTED: readonly (readonly [string, readonly Settings[]])[] = [
  ['VLAN', [{ vlan: 1 }, { vlan: 4094 }, { vlan: 0 }]],
  [
    'VLAN with its priority',
    [
      { vlan: 100, qos: 7, vlanProto: '802.1q' },
      { vlan: 100, qos: 1 },
      { vlan: 0, qos: 0 },
    ],
  ],
  ['spoof check', [{ spoofchk: false }, { spoofchk: true }]],
  ['trust', [{ trust: true }, { trust: false }]],
  ['highest rate', [{ minTxRate: 0, maxTxRate: 1000 }, { maxTxRate: 1 }, { maxTxRate: 0 }]],
];

export const kernelVfSettings = vmGroup('pkg/kernel on a physical function', [
  vmCase('reads what igb says of a virtual function that nobody has set', ({ ports }) => {
    for (const port of ports) {
      for (const vf of port.link().vfs) {
        const { index, mac, vlanProto, linkState, ...settings } = vf;
        deepEqual(settings, UNTOUCHED);
        equal(mac, port.homeVf(index).mac);
        equal(vlanProto, '802.1q');
        // igb never fills it in; the kernel gives zero, which is "auto".
        equal(linkState, 'auto');
      }
    }
  }),

  ...ACCEPTED.map(([what, values]) =>
    vmCase(`sets and unsets the ${what} of one virtual function`, (vm) => {
      for (const value of values) setAndCompare(vm, value);
    }),
  ),

  vmCase('sets several settings in one change', (vm) => {
    setAndCompare(vm, { vlan: 7, qos: 2, spoofchk: false, trust: true, maxTxRate: 500 });
    setAndCompare(vm, UNTOUCHED);
  }),

  vmCase('sets the MAC that the virtual function gets when its driver starts again', (vm) => {
    const [port] = vm.ports;
    const own = port.homeVf(VF).mac;
    const mac = '02:00:5e:00:53:05';
    setAndCompare(vm, { mac });
    equal(port.homeVf(VF).mac, own);
    const address = port.vfAddress(VF);
    bindDriver(address, undefined);
    equal(port.homeVf(VF).mac, mac);
    // Zeros take the administrative MAC away: igb draws one when the driver starts.
    setVf(vm, { mac: '00:00:00:00:00:00' });
    bindDriver(address, undefined);
    match(port.homeVf(VF).mac ?? '', /^(?!02:00:5e)/);
  }),

  ...(
    [
      ['a multicast MAC', { mac: '01:00:5e:00:53:05' }, /mac 01:00:5e:00:53:05 .*: EINVAL/],
      ['a priority above 7', { vlan: 100, qos: 8 }, /vlan 100 qos 8 .*: EINVAL/],
      ['802.1ad', { vlan: 100, vlanProto: '802.1ad' }, /vlan 100 qos 0 802.1ad .*: EPROTONOSUPPORT/],
      ['a rate above the speed of the port', { maxTxRate: 2000 }, /tx rate 0 to 2000 Mbit\/s .*: EINVAL/],
      ['a lowest rate', { minTxRate: 100, maxTxRate: 500 }, /tx rate 100 to 500 Mbit\/s .*: EINVAL/],
      ['a link state', { linkState: 'enable' }, /link state enable .*: EOPNOTSUPP/],
    ] as const
  ).map(([what, settings, said]) =>
    vmCase(`says that igb refuses ${what}, and changes nothing`, (vm) => {
      const before = vm.ports[0].link().vfs;
      throws(() => setVf(vm, settings), { code: 'kernel', message: said });
      deepEqual(vm.ports[0].link().vfs, before);
    }),
  ),

  vmCase('says that there is no virtual function of that number', (vm) => {
    const { index } = vm.ports[0].link();
    throws(() => vm.kernel.host().setLink(index, { vf: { index: 7, trust: true } }), /virtual function 7/);
  }),
]);
