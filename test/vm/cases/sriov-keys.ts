// Each key of the sriov plugin on a real virtual function: set, read back from the kernel, checked, and put back.
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import type { VirtualFunction } from '../../../pkg/kernel/kernel.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';
import type { Vm } from '../guest/vm.ts';

const MAC = '02:00:5e:00:53:01';

/** A virtual function as the PF's own dump has it, by our reader. */
const vfOf = ({ ports }: Vm, index: number): VirtualFunction => {
  const vf = ports[0].link().vfs.find((one) => one.index === index);
  if (vf === undefined) throw new Error(`no virtual function ${index}`);
  return vf;
};

/** The same by iproute2's reader. */
const seenByIp = ({ ports, run }: Vm, index: number): string => {
  const text = run('ip', '-d', 'link', 'show', 'dev', ports[0].link().name);
  const line = text.split('\n').find((one) => one.trim().startsWith(`vf ${index} `));
  if (line === undefined) throw new Error(`ip shows no vf ${index}: ${text}`);
  return line;
};

const ONE_BY_ONE: readonly (readonly [JsonObject, Partial<VirtualFunction>])[] = [
  [{ vlan: 100 }, { vlan: 100, qos: 0 }],
  [
    { vlan: 4094, vlanQoS: 7, vlanProto: '802.1Q' },
    { vlan: 4094, qos: 7, vlanProto: '802.1q' },
  ],
  [{ vlan: 0 }, { vlan: 0 }],
  [{ mac: MAC }, { mac: MAC }],
  [{ runtimeConfig: { mac: MAC }, mac: '02:00:5e:00:53:02' }, { mac: MAC }],
  [{ spoofchk: 'off' }, { spoofchk: false }],
  [{ trust: 'on' }, { trust: true }],
  [{ max_tx_rate: 250 }, { maxTxRate: 250 }],
  [{ max_tx_rate: 0, min_tx_rate: 0 }, { maxTxRate: 0 }],
  [{ link_state: 'auto' }, { linkState: 'auto' }],
];

export const sriovKeys = vmGroup('sriov sets', [
  vmCase('every key together, as ip shows it, and takes every one back', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const keys = {
      deviceID: vm.ports[0].vfAddress(1),
      ...{ vlan: 100, vlanQoS: 3, vlanProto: '802.1q', mac: MAC, spoofchk: 'off', trust: 'on' },
      ...{ max_tx_rate: 100, min_tx_rate: 0, link_state: 'auto', mtu: 1400 },
    };
    const result = await node.ok('ADD', keys, pod);
    deepEqual(result.interfaces, [
      { name: 'net1', mac: MAC, mtu: 1400, sandbox: pod.path, pciID: keys.deviceID },
    ]);
    const line = seenByIp(vm, 1);
    for (const part of [MAC, 'vlan 100', 'qos 3', 'max_tx_rate 100Mbps', 'spoof checking off', 'trust on'])
      ok(line.includes(part), `${part} in ${line}`);
    const [link] = pod.ip('link', 'show', 'dev', 'net1') as { address: string; mtu: number }[];
    deepEqual([link?.address, link?.mtu], [MAC, 1400]);
    await node.ok('CHECK', { ...keys, prevResult: result }, pod);
    await node.ok('DEL', keys, pod);
    node.expectAsBefore();
  }),

  vmCase('each key by itself, and nothing else', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const before = vfOf(vm, 2);
    for (const [more, wanted] of ONE_BY_ONE) {
      const keys = { deviceID: vm.ports[0].vfAddress(2), ...more };
      await node.ok('ADD', keys, pod);
      deepEqual(vfOf(vm, 2), { ...before, ...wanted }, JSON.stringify(more));
      await node.ok('DEL', keys, pod);
      node.expectAsBefore();
    }
  }),

  vmCase('nothing, where it is not asked to', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const { name } = vm.ports[0].link();
    vm.run('ip', 'link', 'set', name, 'vf', '3', 'vlan', '7', 'qos', '2', 'spoofchk', 'off', 'trust', 'on');
    vm.defer(() => {
      vm.run('ip', 'link', 'set', name, 'vf', '3', 'vlan', '0', 'spoofchk', 'on', 'trust', 'off');
    });
    const before = vfOf(vm, 3);
    const keys = { deviceID: vm.ports[0].vfAddress(3) };
    await node.ok('ADD', keys, pod);
    deepEqual(vfOf(vm, 3), before);
    await node.ok('DEL', keys, pod);
    deepEqual(vfOf(vm, 3), before);
    // What an administrator had set is what DEL goes back to.
    const other = { ...keys, vlan: 100, spoofchk: 'on', trust: 'off', mac: MAC };
    await node.ok('ADD', other, pod);
    await node.ok('DEL', other, pod);
    deepEqual(vfOf(vm, 3), before);
  }),

  vmCase(
    'an administrative MAC that the pod cannot change, in place of the one that was set before',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const { name } = vm.ports[0].link();
      const home = vm.ports[0].homeVf(4);
      const first = '02:00:5e:00:53:aa';
      vm.kernel.host().setLink(home.index, { mac: first });
      vm.run('ip', 'link', 'set', name, 'vf', '4', 'mac', first);
      vm.defer(() => {
        vm.run('ip', 'link', 'set', name, 'vf', '4', 'mac', '00:00:00:00:00:00');
        vm.kernel.host().setLink(vm.ports[0].homeVf(4).index, { mac: home.mac ?? '' });
      });
      const keys = { deviceID: vm.ports[0].vfAddress(4), mac: MAC };
      await node.ok('ADD', keys, pod);
      equal(vfOf(vm, 4).mac, MAC);
      pod.exec('ip', 'link', 'set', 'net1', 'down');
      let refused = '';
      try {
        pod.exec('ip', 'link', 'set', 'net1', 'address', '02:00:5e:00:53:66');
      } catch (error) {
        refused = String(error);
      }
      match(refused, /Cannot assign requested address/);
      await node.ok('DEL', keys, pod);
      equal(vm.ports[0].homeVf(4).mac, first);
      equal(vfOf(vm, 4).mac, first);
      // It is the administrator's still.
      throws(
        () => vm.kernel.host().setLink(vm.ports[0].homeVf(4).index, { mac: '02:00:5e:00:53:88' }),
        /EADDRNOTAVAIL/,
      );
    },
  ),

  vmCase('a MAC for the time of a pod: afterwards the interface may choose its own again', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const { mac = '' } = vm.ports[0].homeVf(3);
    for (const more of [{}, { trust: 'on' }]) {
      const keys = { deviceID: vm.ports[0].vfAddress(3), mac: MAC, ...more };
      await node.ok('ADD', keys, pod);
      await node.ok('DEL', keys, pod);
      const host = vm.kernel.host();
      const { index } = vm.ports[0].homeVf(3);
      host.setLink(index, { mac: '02:00:5e:00:53:99' });
      host.setLink(index, { mac });
      node.expectAsBefore();
    }
  }),

  vmCase('a device-information file with both addresses', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const file = `/var/run/k8s.cni.cncf.io/devinfo/cni/${pod.name}`;
    const keys = { deviceID: vm.ports[1].vfAddress(0), runtimeConfig: { CNIDeviceInfoFile: file } };
    await node.ok('ADD', keys, pod);
    deepEqual(JSON.parse(vm.run('cat', file)), {
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': keys.deviceID, 'pf-pci-address': vm.ports[1].address },
    });
    await node.ok('DEL', keys, pod);
    node.expectAsBefore();
  }),
]);

/** What the driver refuses, or cannot be: key, code and words of the error. */
const REFUSED: readonly (readonly [JsonObject, RegExp])[] = [
  [{ vlan: 100, vlanProto: '802.1ad' }, /EPROTONOSUPPORT.*leave it out of the network/],
  [{ link_state: 'enable' }, /link state enable.*EOPNOTSUPP.*leave it out of the network/],
  [{ min_tx_rate: 100 }, /tx rate 100 to 0 Mbit\/s.*EINVAL/],
  [{ max_tx_rate: 1001 }, /'max_tx_rate' as it must not be above the speed of \w+, 1000 Mbit\/s/],
  [{ mtu: 20000 }, /'mtu' as it must not be above what \w+ takes/],
];

export const sriovRefusals = vmGroup('sriov refuses', [
  vmCase(
    'an option that the driver does not know, and leaves no virtual function half set up (sriov-cni 119)',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      for (const [more, words] of REFUSED) {
        const rest = { mac: MAC, spoofchk: 'off', trust: 'on', vlan: 5, ...more };
        const keys = { deviceID: vm.ports[0].vfAddress(5), ...rest };
        match(await node.refused('ADD', keys, pod), words);
        node.expectAsBefore();
        deepEqual(pod.ip('link').length, 1);
      }
    },
  ),

  vmCase('to confirm what is not as ADD set it', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const { name } = vm.ports[0].link();
    const deviceID = vm.ports[0].vfAddress(6);
    const keys = { deviceID, vlan: 100, spoofchk: 'on', trust: 'on', max_tx_rate: 100, mac: MAC };
    const prevResult = await node.ok('ADD', keys, pod);
    const spoil: readonly (readonly [readonly string[], readonly string[], RegExp])[] = [
      [['vlan', '5'], ['vlan', '100'], /vlan is 5, not 100/],
      [['spoofchk', 'off'], ['spoofchk', 'on'], /spoofchk is off, not on/],
      [['trust', 'off'], ['trust', 'on'], /trust is off, not on/],
      [['max_tx_rate', '7'], ['max_tx_rate', '100'], /max_tx_rate is 7, not 100/],
      [['mac', '02:00:5e:00:53:77'], ['mac', MAC], /administrative MAC is 02:00:5e:00:53:77, not/],
    ];
    const set = (words: readonly string[]) => vm.run('ip', 'link', 'set', name, 'vf', '6', ...words);
    for (const [wrong, right, words] of spoil) {
      set(wrong);
      match(await node.refused('CHECK', { ...keys, prevResult }, pod), words);
      set(right);
      await node.ok('CHECK', { ...keys, prevResult }, pod);
    }
    pod.exec('ip', 'addr', 'flush', 'dev', 'net1');
    match(await node.refused('CHECK', { ...keys, prevResult }, pod), /lacks the address/);
    await node.ok('DEL', keys, pod);
    node.expectAsBefore();
  }),
]);
