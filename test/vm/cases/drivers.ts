// What else a virtual function can be: a device for user space, the ground of an RDMA device.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { makeNetns } from '../../kit/netns.ts';
import { vmCase, vmGroup } from '../case.ts';
import { bindDriver } from '../guest/ports.ts';

export const drivers = vmGroup('drivers', [
  vmCase(
    'vfio-pci takes a virtual function, with an IOMMU group of its own, and gives it back',
    async ({ ports: [port], sysfs, run, defer, until }) => {
      run('modprobe', 'vfio-pci');
      const address = port.vfAddress(6);
      const before = port.homeVf(6);
      bindDriver(address, 'vfio-pci');
      defer(() => bindDriver(address, undefined));
      const taken = sysfs.pci(address);
      deepEqual([taken?.driver, taken?.netdevs], ['vfio-pci', []]);
      const group = taken?.iommuGroup;
      equal(group?.noiommu, false);
      ok(existsSync(`/dev/vfio/${group?.number}`));
      const inGroup = readdirSync(`/sys/kernel/iommu_groups/${group?.number}/devices`);
      deepEqual(inGroup, [address]);
      bindDriver(address, undefined);
      const back = await until('its interface', () => port.vfLink(6));
      deepEqual([back.name, sysfs.pci(address)?.driver], [before.name, 'igbvf']);
    },
  ),

  vmCase(
    'soft RoCE stands on a virtual function, in its namespace too',
    async ({ ports: [port], kernel, run, defer, until }) => {
      run('modprobe', '-a', 'rdma_rxe', 'rdma_ucm', 'ib_uverbs');
      const vf = port.homeVf(1);
      run('rdma', 'link', 'add', 'rxe0', 'type', 'rxe', 'netdev', vf.name);
      let there = true;
      defer(() => {
        if (there) run('rdma', 'link', 'delete', 'rxe0');
      });
      const device = '/sys/class/infiniband/rxe0';
      // It has no PCI parent: what it stands on is only named.
      equal(existsSync(`${device}/device`), false);
      equal(run('cat', `${device}/parent`).trim(), vf.name);
      equal(run('cat', `${device}/ports/1/link_layer`).trim(), 'Ethernet');
      ok(existsSync('/dev/infiniband/rdma_cm'));
      const verbs = readdirSync('/sys/class/infiniband_verbs').find((name) => name.startsWith('uverbs'));
      equal(basename(readlinkSync(`/sys/class/infiniband_verbs/${verbs}`)), verbs);
      using pod = makeNetns();
      const inside = kernel.open(pod.path);
      // The device does not survive the move of what it stands on; it goes a moment later, by a work queue.
      const moved = kernel.host().moveLink(vf.index, inside);
      await until('rxe0 is gone', () => !existsSync(device));
      there = false;
      const inThere = ['rdma', 'link', 'add', 'rxe1', 'type', 'rxe', 'netdev', vf.name] as const;
      pod.exec(...inThere);
      ok(readdirSync('/sys/class/infiniband').includes('rxe1'));
      pod.exec('rdma', 'link', 'delete', 'rxe1');
      inside.moveLink(moved, kernel.host());
      inside.close();
    },
  ),
]);
