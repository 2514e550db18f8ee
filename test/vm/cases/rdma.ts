// RDMA devices on the guest's kernel, with soft RoCE: found, shared, and refused. What hardware does with a move is not
// seen here: the driver of soft RoCE cannot be moved.
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { createMacvlan } from '../../../cni/macvlan/plugin.ts';
import { ipamInside } from '../../../meta/bin/ipam-inside.ts';
import { isManifoldError } from '../../../pkg/errors/manifold-error.ts';
import { isErrno } from '../../../pkg/kernel/kernel-error.ts';
import { openRdma } from '../../../pkg/kernel/linux-rdma.ts';
import { makeNetns, type TestNetns } from '../../kit/netns.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';
import type { Vm } from '../guest/vm.ts';

/** Soft RoCE on an interface of the host, removed when the case is over. */
function softRoce(vm: Vm, name: string, netdev: string): number {
  vm.run('modprobe', 'rdma_rxe');
  vm.run('rdma', 'link', 'add', name, 'type', 'rxe', 'netdev', netdev);
  vm.defer(() => {
    if (find(vm, name) !== undefined) vm.run('rdma', 'link', 'delete', name);
  });
  const made = find(vm, name);
  ok(made);
  return made.index;
}

/** An interface of the host, up for the time of the case. */
function up(vm: Vm, index: number): void {
  vm.kernel.host().setLink(index, { up: true });
  vm.defer(() => vm.kernel.host().setLink(index, { up: false }));
}

const host = (vm: Vm) => openRdma(vm.kernel.host());
const find = (vm: Vm, name: string) =>
  host(vm)
    .devices()
    .find((device) => device.name === name);

function namespace(vm: Vm): TestNetns {
  const netns = makeNetns();
  vm.defer(() => netns[Symbol.dispose]());
  return netns;
}

/** The refusal's message and hint. */
function refusal(work: () => void): string {
  try {
    work();
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return `${error.message} ${error.hint}`;
  }
  throw new Error('not refused');
}

/** For the time of the case; the guest has no other namespace then. */
function exclusive(vm: Vm): void {
  host(vm).setMode('exclusive');
  vm.defer(() => host(vm).setMode('shared'));
}

export const rdma = vmGroup('RDMA:', [
  vmCase('a device is found with its GUID, its port, and the interface of that', (vm) => {
    const { index, name } = vm.ports[0].homeVf(1);
    const device = softRoce(vm, 'rxe0', name);
    const found = find(vm, 'rxe0');
    match(found?.nodeGuid ?? '', /^([0-9a-f]{4}:){3}[0-9a-f]{4}$/);
    deepEqual(found, { index: device, name: 'rxe0', ports: 1, nodeGuid: found?.nodeGuid, protocol: 'roce' });
    const [, guid] = /node_guid (\S+)/.exec(vm.run('rdma', '-d', 'dev', 'show', 'rxe0')) ?? [];
    equal(found?.nodeGuid, guid);
    deepEqual(host(vm).ports(device), [{ number: 1, netdev: { index, name } }]);
  }),

  vmCase('its GIDs are those of the addresses of its interface', async (vm) => {
    const { index, name } = vm.ports[0].homeVf(1);
    up(vm, index);
    vm.kernel.host().addAddress(index, { cidr: '192.0.2.1/24' });
    softRoce(vm, 'rxe0', name);
    const gid = await vm.until('the GID', () =>
      vm.sysfs.rdmaGids('rxe0', 1).find((one) => one.gid.endsWith('ffff:c000:0201')),
    );
    deepEqual([gid.type, gid.netdev], ['RoCE v2', name]);
    vm.kernel.host().removeAddress(index, '192.0.2.1/24');
  }),

  vmCase(
    'shared: a device is seen in every namespace, its interface where that is, and is not moved',
    (vm) => {
      const device = softRoce(vm, 'rxe0', vm.ports[0].homeVf(1).name);
      equal(host(vm).mode(), 'shared');
      const pod = vm.kernel.open(namespace(vm).path);
      const inside = openRdma(pod);
      equal(inside.mode(), 'shared');
      equal(inside.devices()[0]?.name, 'rxe0');
      deepEqual(inside.ports(device), [{ number: 1, netdev: undefined }]);
      const said = refusal(() => host(vm).move(device, pod));
      match(
        said,
        /^Cannot move RDMA device \d+ from the host's network namespace to \S+: EOPNOTSUPP.*exclusive/,
      );
      match(
        refusal(() => host(vm).setMode('exclusive')),
        /set the RDMA namespace mode to exclusive: EBUSY/,
      );
      pod.close();
    },
  ),

  vmCase('a device gets another name, but not one that is taken', (vm) => {
    const device = softRoce(vm, 'rxe0', vm.ports[0].homeVf(1).name);
    softRoce(vm, 'rxe1', vm.ports[0].homeVf(2).name);
    host(vm).rename(device, 'rail0');
    equal(find(vm, 'rail0')?.index, device);
    match(
      refusal(() => host(vm).rename(device, 'rxe1')),
      /to rxe1: EEXIST/,
    );
    host(vm).rename(device, 'rxe0');
    throws(() => host(vm).rename(999, 'rxe2'), /EINVAL/);
  }),

  vmCase(
    'exclusive: another namespace sees no device of the host, and soft RoCE is refused its move',
    async (vm) => {
      const device = softRoce(vm, 'rxe0', vm.ports[0].homeVf(1).name);
      exclusive(vm);
      equal(host(vm).mode(), 'exclusive');
      const pod = vm.kernel.open(namespace(vm).path);
      try {
        deepEqual(openRdma(pod).devices(), []);
        equal(openRdma(pod).mode(), 'exclusive');
        throws(() => openRdma(pod).ports(device), /EINVAL/);
        match(
          refusal(() => host(vm).move(device, pod)),
          /EOPNOTSUPP.*soft RoCE cannot/,
        );
        match(
          refusal(() => openRdma(pod).move(device, vm.kernel.host())),
          /EINVAL/,
        );
        equal(find(vm, 'rxe0')?.index, device);
      } finally {
        pod.close();
      }
    },
  ),

  vmCase(
    'a macvlan that must have RDMA gets a GID of its address, in shared mode; not in exclusive',
    async (vm) => {
      const node = new CniNode(vm, (deps) => [createMacvlan(deps), ...ipamInside(deps)]);
      const { index, name } = vm.ports[0].homeVf(1);
      up(vm, index);
      const { manifold } = node.conf({});
      const keys = { type: 'macvlan', master: name, manifold: { ...Object(manifold), rdma: 'require' } };
      const pod = node.pod();
      match(await node.refused('ADD', keys, pod), /its parent \w+ has no RDMA device/);
      softRoce(vm, 'rxe0', name);
      await node.ok('STATUS', keys, pod);
      await node.ok('ADD', keys, pod);
      await vm.until('the GID of the pod', () =>
        vm.sysfs.rdmaGids('rxe0', 1).some(({ gid }) => gid.endsWith('ffff:c000:0201')),
      );
      await node.ok('DEL', keys, pod);
      await vm.until('the end of that GID', () =>
        vm.sysfs.rdmaGids('rxe0', 1).every(({ gid }) => !gid.endsWith('ffff:c000:0201')),
      );
      vm.run('ip', 'netns', 'del', pod.name);
      await vm.until('the end of the namespace', () => {
        try {
          host(vm).setMode('exclusive');
          return true;
        } catch (error) {
          if (!isErrno(error, 'EBUSY')) throw error;
          return false;
        }
      });
      vm.defer(() => host(vm).setMode('shared'));
      match(await node.refused('ADD', keys, node.pod()), /is the host's alone/);
    },
  ),
]);
