// Drivers that come and go under a virtual function: its own, a user-space one, its physical function's.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';
import { bindDriver } from '../guest/ports.ts';
import type { Vm } from '../guest/vm.ts';

const MAC = '02:00:5e:00:53:01';

const toVfio = (vm: Vm, address: string): void => {
  vm.run('modprobe', 'vfio-pci');
  bindDriver(address, 'vfio-pci');
};

/** Given back to its own driver a function has another MAC, chosen at random: the case ends with it as it finds it. */
const ownAgain = (vm: Vm, address: string): void =>
  vm.defer(() => {
    if (vm.sysfs.pci(address)?.driver !== 'igbvf') bindDriver(address, undefined);
  });

export const sriovDrivers = vmGroup('sriov and drivers:', [
  vmCase('a function with vfio-pci is set up through its physical one and stays where it is', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const address = vm.ports[0].vfAddress(3);
    toVfio(vm, address);
    ownAgain(vm, address);
    const before = vm.ports[0].link().vfs[3];
    const keys = {
      deviceID: address,
      vlan: 100,
      vlanQoS: 3,
      mac: MAC,
      spoofchk: 'off',
      trust: 'on',
      max_tx_rate: 9,
    };
    const result = await node.ok('ADD', keys, pod);
    deepEqual(result.interfaces, [{ name: 'net1', mac: MAC, sandbox: pod.path, pciID: address }]);
    deepEqual(result.ips, [{ address: '192.0.2.1/24', interface: 0 }]);
    const { mac, vlan, qos, spoofchk, trust, maxTxRate } = vm.ports[0].link().vfs[3] ?? {};
    deepEqual([mac, vlan, qos, spoofchk, trust, maxTxRate], [MAC, 100, 3, false, true, 9]);
    equal(pod.ip('link').length, 1);
    await node.ok('CHECK', { ...keys, prevResult: result }, pod);
    vm.run('ip', 'link', 'set', vm.ports[0].link().name, 'vf', '3', 'vlan', '8');
    match(await node.refused('CHECK', { ...keys, prevResult: result }, pod), /vlan is 8, not 100/);
    await node.ok('DEL', keys, pod);
    deepEqual(vm.ports[0].link().vfs[3], before);
    equal(vm.sysfs.pci(address)?.driver, 'vfio-pci');
    deepEqual(node.records(), []);
  }),

  vmCase(
    'vfio-pci took the function from the pod meanwhile: it gets its own driver back, and all else',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const address = vm.ports[0].vfAddress(4);
      const home = vm.ports[0].homeVf(4);
      ownAgain(vm, address);
      const keys = { deviceID: address, vlan: 100, mac: MAC, trust: 'on', mtu: 1300 };
      const prevResult = await node.ok('ADD', keys, pod);
      toVfio(vm, address);
      match(
        await node.refused('CHECK', { ...keys, prevResult }, pod),
        /the interface is gone|its driver is vfio-pci/,
      );
      const group = openSync(`/dev/vfio/${vm.sysfs.pci(address)?.iommuGroup?.number}`, 'r+');
      try {
        match(await node.refused('DEL', keys, pod), /a program has \/dev\/vfio\/\d+ open/);
        equal(node.records().length, 1);
      } finally {
        closeSync(group);
      }
      await node.ok('DEL', keys, pod);
      equal(vm.sysfs.pci(address)?.driver, 'igbvf');
      equal(vm.sysfs.driverOverride(address), undefined);
      // Another interface, by its index and by what igbvf found when it was bound; all that can be set is as it was.
      const { index, permMac } = vm.ports[0].homeVf(4);
      deepEqual(vm.ports[0].homeVf(4), { ...home, index, permMac });
      node.expectAsBefore();
    },
  ),

  vmCase(
    'fewer functions than before: DEL says so and forgets nothing, until the function is there again',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const port = vm.ports[1];
      const keys = { deviceID: port.vfAddress(6), vlan: 100, mac: MAC };
      await node.ok('ADD', keys, pod);
      await port.makeVfs(3);
      match(
        await node.refused('DEL', keys, pod),
        /virtual function 6 .* is gone: its physical function .* has 3 virtual functions now/,
      );
      match(await node.refused('DEL', keys, pod, { noNetns: true }), /has 3 virtual functions now/);
      equal(node.records().length, 1);
      await port.makeVfs();
      await node.ok('DEL', keys, pod);
      deepEqual(node.records(), []);
      const { vlan } = port.link().vfs[6] ?? {};
      equal(vlan, 0);
    },
  ),

  vmCase(
    "the physical function's driver was loaded again under a pod: nothing is forgotten, and the next pod gets it",
    async (vm) => {
      const node = new CniNode(vm);
      const [pod, next] = [node.pod(), node.pod()];
      const port = vm.ports[1];
      const keys = { deviceID: port.vfAddress(2), vlan: 100, mac: MAC, mtu: 1300 };
      await node.ok('ADD', keys, pod);
      writeFileSync('/sys/bus/pci/drivers/igb/unbind', port.address);
      match(await node.refused('DEL', keys, pod), /is gone/);
      match(await node.refused('ADD', keys, next), /has it as net1/);
      writeFileSync('/sys/bus/pci/drivers/igb/bind', port.address);
      const { index } = await vm.until('the port', () => port.link());
      vm.kernel.host().setLink(index, { up: true });
      await port.makeVfs();
      await node.ok('DEL', keys, pod);
      const prevResult = await node.ok('ADD', keys, next);
      await node.ok('CHECK', { ...keys, prevResult }, next);
      await node.ok('DEL', keys, next);
      deepEqual(node.records(), []);
      ok(port.vfLink(2) !== undefined);
    },
  ),
]);
