// The machine itself: two ports on one wire, with virtual functions.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { makeNetns } from '../../kit/netns.ts';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';
import { VFS_PER_PORT } from '../guest/port.ts';

export const fixture = vmGroup('the virtual machine', [
  vmCase('has two ports with seven virtual functions each', ({ ports, sysfs }) => {
    for (const port of ports) {
      deepEqual(sysfs.pci(port.address)?.sriov, { totalVfs: 7, numVfs: VFS_PER_PORT });
      equal(port.link().vfs.length, VFS_PER_PORT);
      for (let index = 0; index < VFS_PER_PORT; index += 1) {
        const vf = sysfs.pci(port.vfAddress(index));
        equal(vf?.driver, 'igbvf');
        equal(vf?.physicalFunction, port.address);
        equal(port.homeVf(index).mac, port.link().vfs[index]?.mac);
      }
    }
  }),

  vmCase('joins its two ports by a wire', async ({ ports, wire, kernel, until }) => {
    using left = makeNetns();
    using right = makeNetns();
    const ends = [left, right].map(({ path }, index) => {
      const namespace = kernel.open(path);
      const { index: here, name, mac } = ports[index === 0 ? 0 : 1].homeVf(0);
      const there = kernel.host().moveLink(here, namespace, { name: 'net1' });
      namespace.setLink(there, { up: true });
      namespace.addAddress(there, { cidr: `192.0.2.${index + 1}/24` });
      return { namespace, there, name, mac };
    });
    for (const { namespace, there } of ends)
      await until('carrier', () => namespace.link({ index: there })?.running);
    const mark = wire.mark();
    ok(ping(left.path, '192.0.2.2'));
    const [from, to] = ends;
    const sent = wire.frames(mark).filter((frame) => frame.src === from?.mac && frame.dst === to?.mac);
    ok(sent.some((frame) => frame.etherType === 0x0800 && frame.vlan === undefined));
    for (const { namespace, there, name } of ends) {
      namespace.setLink(there, { up: false });
      namespace.moveLink(there, kernel.host(), { name });
      namespace.close();
    }
  }),
]);
