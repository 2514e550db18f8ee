// Virtual functions that go into a namespace and come back, by pkg/kernel.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { makeNetns } from '../../kit/netns.ts';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';

export const kernelVfMoves = vmGroup('a virtual function', [
  vmCase('is moved into a namespace and back, the same as before', ({ ports: [port], kernel }) => {
    using pod = makeNetns();
    const inside = kernel.open(pod.path);
    const before = port.homeVf(3);
    const there = kernel.host().moveLink(before.index, inside, { name: 'net1' });
    equal(port.vfLink(3), undefined);
    const link = inside.link({ name: 'net1' });
    deepEqual(link, { ...before, index: there, name: 'net1' });
    inside.setLink(there, { up: true, mtu: 1400 });
    inside.setLink(there, { up: false, mtu: before.mtu });
    inside.moveLink(there, kernel.host(), { name: before.name });
    inside.close();
    deepEqual(port.homeVf(3), before);
  }),

  vmCase(
    'comes back when its namespace is deleted, under the name that it had there',
    async ({ ports: [port], kernel, until }) => {
      const pod = makeNetns();
      const inside = kernel.open(pod.path);
      const before = port.homeVf(3);
      const there = kernel.host().moveLink(before.index, inside, { name: 'net1' });
      inside.setLink(there, { up: true, mtu: 1400, addAltnames: ['rail0'] });
      inside.addAddress(there, { cidr: '192.0.2.1/24' });
      inside.close();
      pod[Symbol.dispose]();
      const back = await until('the virtual function is back', () => port.vfLink(3));
      deepEqual(
        { name: back.name, up: back.up, mtu: back.mtu, mac: back.mac, altnames: back.altnames },
        { name: 'net1', up: false, mtu: 1400, mac: before.mac, altnames: ['rail0'] },
      );
      deepEqual(kernel.host().addresses(back.index), []);
      kernel.host().setLink(back.index, { name: before.name, mtu: before.mtu, removeAltnames: ['rail0'] });
    },
  ),

  vmCase(
    'comes back as dev<index> where its name is taken meanwhile',
    async ({ ports: [port], kernel, until }) => {
      const pod = makeNetns();
      const inside = kernel.open(pod.path);
      const [vf, other] = [port.homeVf(3), port.homeVf(4)];
      const there = kernel.host().moveLink(vf.index, inside, { name: 'net1' });
      kernel.host().setLink(other.index, { name: 'net1' });
      inside.close();
      pod[Symbol.dispose]();
      const back = await until('the virtual function is back', () => port.vfLink(3));
      equal(back.name, `dev${there}`);
      kernel.host().setLink(other.index, { name: other.name });
      kernel.host().setLink(back.index, { name: vf.name });
    },
  ),

  vmCase(
    'sends with the VLAN tag that its physical function sets',
    async ({ ports, kernel, wire, until }) => {
      using left = makeNetns();
      using right = makeNetns();
      const [pf0, pf1] = [ports[0].link(), ports[1].link()];
      const ends = (
        [
          [left, ports[0], pf0],
          [right, ports[1], pf1],
        ] as const
      ).map(([pod, port, pf], index) => {
        kernel.host().setLink(pf.index, { vf: { index: 2, vlan: 100, qos: 3 } });
        const inside = kernel.open(pod.path);
        const { index: here, name, mac } = port.homeVf(2);
        const there = kernel.host().moveLink(here, inside, { name: 'net1' });
        inside.setLink(there, { up: true });
        inside.addAddress(there, { cidr: `198.51.100.${index + 1}/24` });
        return { inside, there, name, mac, pf };
      });
      for (const { inside, there } of ends)
        await until('carrier', () => inside.link({ index: there })?.running);
      const mark = wire.mark();
      ok(ping(left.path, '198.51.100.2'));
      const [from, to] = ends;
      const sent = wire.frames(mark).filter(({ src, dst }) => src === from?.mac && dst === to?.mac);
      ok(sent.length > 0);
      for (const { vlan } of sent) deepEqual(vlan, { id: 100, priority: 3, protocol: 0x8100 });
      for (const { inside, there, name, pf } of ends) {
        inside.setLink(there, { up: false });
        inside.moveLink(there, kernel.host(), { name });
        inside.close();
        kernel.host().setLink(pf.index, { vf: { index: 2, vlan: 0, qos: 0 } });
      }
    },
  ),
]);
