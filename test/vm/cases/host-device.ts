// host-device on real hardware: a virtual function as any NIC, and a whole port.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';

export const hostDevice = vmGroup('host-device', [
  vmCase(
    'takes a virtual function, and finds it by its PCI address when the namespace was gone first',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const address = vm.ports[0].vfAddress(1);
      const file = `/var/run/k8s.cni.cncf.io/devinfo/cni/${pod.name}`;
      const keys = { type: 'host-device', runtimeConfig: { deviceID: address, CNIDeviceInfoFile: file } };
      const result = await node.ok('ADD', keys, pod);
      deepEqual((result.interfaces as { pciID: string }[])[0]?.pciID, address);
      deepEqual(JSON.parse(vm.run('cat', file)).pci, {
        'pci-address': address,
        'pf-pci-address': vm.ports[0].address,
      });
      await node.ok('CHECK', { ...keys, prevResult: result }, pod);
      pod.exec('ip', 'link', 'set', 'net1', 'mtu', '1300', 'alias', 'of the pod');
      vm.run('ip', 'netns', 'del', pod.name);
      await node.ok('DEL', keys, pod);
      node.expectAsBefore();
    },
  ),

  vmCase('takes a whole port, unless its virtual functions are in use, and lists these', async (vm) => {
    const node = new CniNode(vm);
    const [pod, other, peer] = [node.pod(), node.pod(), node.pod()];
    const [port, far] = vm.ports;
    const keys = { type: 'host-device', pciBusID: port.address };
    const vf = { deviceID: port.vfAddress(3) };
    await node.ok('ADD', vf, other);
    const held = new RegExp(`in use: ${vf.deviceID} \\(pod ns/${other.name}, net1\\)`);
    match(await node.refused('ADD', keys, pod), held);
    match(await node.refused('STATUS', keys, pod), held);
    await node.ok('DEL', vf, other);
    const { name, index } = port.link();
    await node.ok('ADD', keys, pod);
    equal(vm.kernel.host().link({ name }), undefined);
    await node.ok('ADD', { deviceID: far.vfAddress(0) }, peer);
    ok(ping(pod.path, '192.0.2.3'));
    // A virtual function of the port that is in the pod is set up there.
    const tagged = { deviceID: port.vfAddress(4), vlan: 100 };
    await node.ok('ADD', tagged, other);
    match(pod.exec('ip', 'link', 'show', 'dev', 'net1'), /vf 4 .*vlan 100/);
    await node.ok('DEL', tagged, other);
    await node.ok('DEL', { deviceID: far.vfAddress(0) }, peer);
    await node.ok('DEL', keys, pod);
    equal(port.link().index, index);
    await vm.until('carrier', () => port.link().running);
    node.expectAsBefore();
  }),
]);
