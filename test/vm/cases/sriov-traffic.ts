// Two pods on two ports, and what passes between them on the wire.
import { deepEqual, ok } from 'node:assert/strict';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';

const MACS = ['02:00:5e:00:53:01', '02:00:5e:00:53:02'] as const;

export const sriovTraffic = vmGroup('pods with virtual functions', [
  vmCase(
    'of one VLAN reach each other, tagged on the wire, and the neighbours are told at once',
    async (vm) => {
      const node = new CniNode(vm);
      const [left, right] = [node.pod(), node.pod()];
      const keys = ([0, 1] as const).map((port) => ({
        deviceID: vm.ports[port].vfAddress(port),
        ...{ vlan: 100, vlanQoS: 3, mac: MACS[port] },
      }));
      const [a = {}, b = {}] = keys;
      const mark = vm.wire.mark();
      await node.ok('ADD', a, left);
      const told = vm.wire
        .frames(mark)
        .filter((frame) => frame.src === MACS[0] && frame.etherType === 0x0806);
      // Gratuitous: sender and target are the pod's own address.
      const own = Buffer.from([192, 0, 2, 1]);
      const gratuitous = told.filter(
        ({ payload }) => payload.subarray(14, 18).equals(own) && payload.subarray(24, 28).equals(own),
      );
      ok(gratuitous.length >= 3, `${gratuitous.length} gratuitous ARP frames of ${told.length}`);
      await node.ok('ADD', b, right);
      const before = vm.wire.mark();
      ok(ping(left.path, '192.0.2.2'));
      const echoes = vm.wire.frames(before).filter((frame) => frame.src === MACS[0] && frame.dst === MACS[1]);
      ok(echoes.length > 0);
      deepEqual(
        [...new Set(echoes.map(({ vlan }) => `${vlan?.protocol} ${vlan?.id} ${vlan?.priority}`))],
        [`${0x8100} 100 3`],
      );
      await node.ok('DEL', a, left);
      ok(!ping(right.path, '192.0.2.1', 1));
      await node.ok('DEL', b, right);
      node.expectAsBefore();
    },
  ),

  vmCase('tell their IPv6 neighbours too', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const ipam = { type: 'manifold-ipam', range: '2001:db8:53::/64' };
    const keys = { deviceID: vm.ports[0].vfAddress(3), mac: MACS[0], ipam };
    const mark = vm.wire.mark();
    await node.ok('ADD', keys, pod);
    // RFC 4861 section 7.2.6: to all nodes, next header ICMPv6, type 136, target is the pod's own address.
    const target = Buffer.from('20010db8005300000000000000000001', 'hex');
    const told = vm.wire
      .frames(mark)
      .filter(({ src, dst, payload }) => src === MACS[0] && dst === '33:33:00:00:00:01' && payload[6] === 58)
      .filter(({ payload }) => payload[40] === 136 && payload.subarray(48, 64).equals(target));
    ok(told.length >= 3, `${told.length} unsolicited neighbour advertisements`);
    await node.ok('DEL', keys, pod);
    node.expectAsBefore();
  }),

  vmCase('of two VLANs do not', async (vm) => {
    const node = new CniNode(vm);
    const [left, right] = [node.pod(), node.pod()];
    const a = { deviceID: vm.ports[0].vfAddress(2), vlan: 100 };
    const b = { deviceID: vm.ports[1].vfAddress(2), vlan: 101 };
    await node.ok('ADD', a, left);
    await node.ok('ADD', b, right);
    ok(!ping(left.path, '192.0.2.2', 1));
    await node.ok('DEL', a, left);
    await node.ok('DEL', b, right);
    node.expectAsBefore();
  }),
]);
