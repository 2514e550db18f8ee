// What users of other plugins have suffered with virtual functions: each story a case, named after it.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';
import type { Vm } from '../guest/vm.ts';

const MACS = ['02:00:5e:00:53:01', '02:00:5e:00:53:02'] as const;

const setUp = ({ ports }: Vm, index: number, more: JsonObject = {}): JsonObject => ({
  deviceID: ports[0].vfAddress(index),
  ...{ vlan: 100, vlanQoS: 2, mac: MACS[0], spoofchk: 'off', trust: 'on', max_tx_rate: 50, mtu: 1300 },
  ...more,
});

export const sriovStories = vmGroup('sriov', [
  vmCase('brings back name, alternative names, alias, MTU, MAC, queue length, up and flags', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const { index, name } = vm.ports[0].homeVf(0);
    const host = vm.kernel.host();
    host.setLink(index, {
      mtu: 1450,
      alias: 'kept',
      txQueueLength: 77,
      addAltnames: ['vf-zero', 'net1'],
      up: true,
    });
    const before = vm.ports[0].homeVf(0);
    vm.defer(() => {
      host.setLink(vm.ports[0].homeVf(0).index, {
        ...{ mtu: 1500, alias: '', txQueueLength: 1000, removeAltnames: ['vf-zero', 'net1'], up: false },
      });
    });
    const keys = setUp(vm, 0);
    await node.ok('ADD', keys, pod);
    pod.exec('ip', 'link', 'set', 'net1', 'promisc', 'on');
    await node.ok('DEL', keys, pod);
    const after = await vm.until('carrier', () => {
      const link = vm.ports[0].homeVf(0);
      return link.running ? link : undefined;
    });
    deepEqual({ ...after, index }, { ...before, index, running: true });
    equal(after.name, name);
  }),

  vmCase(
    'namespace gone first: two functions come back as net1 and are sorted out by their PCI address (sriov-cni 126, 178, 349)',
    async (vm) => {
      const node = new CniNode(vm);
      const pods = [node.pod(), node.pod()] as const;
      const keys = [setUp(vm, 1), setUp(vm, 2, { mac: MACS[1] })] as const;
      for (const at of [0, 1] as const) await node.ok('ADD', keys[at], pods[at]);
      for (const pod of pods) vm.run('ip', 'netns', 'del', pod.name);
      await vm.until('both on the host', () => vm.ports[0].vfLink(1) && vm.ports[0].vfLink(2));
      ok(vm.kernel.host().link({ name: 'net1' }) !== undefined);
      await node.ok('DEL', keys[0], pods[0]);
      await node.ok('DEL', keys[1], pods[1], { noNetns: true });
      node.expectAsBefore();
    },
  ),

  vmCase(
    'namespace gone a moment before DEL: it waits for what the kernel has not yet given back',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const keys = setUp(vm, 1);
      await node.ok('ADD', keys, pod);
      vm.run('ip', 'netns', 'del', pod.name);
      await node.ok('DEL', keys, pod);
      node.expectAsBefore();
    },
  ),

  vmCase('DEL twice, and DEL of what was never added', async (vm) => {
    const node = new CniNode(vm);
    const pod = node.pod();
    const keys = setUp(vm, 3);
    await node.ok('DEL', keys, pod);
    await node.ok('ADD', keys, pod);
    await node.ok('DEL', keys, pod);
    await node.ok('DEL', keys, pod);
    node.expectAsBefore();
  }),

  vmCase('a DEL that comes late does not touch what another pod has now (sriov-cni 219)', async (vm) => {
    const node = new CniNode(vm);
    const [old, next] = [node.pod(), node.pod()];
    const keys = setUp(vm, 3);
    await node.ok('ADD', keys, old);
    vm.run('ip', 'netns', 'del', old.name);
    const other = setUp(vm, 3, { vlan: 200, mac: MACS[1] });
    const prevResult = await node.ok('ADD', other, next);
    await node.ok('DEL', keys, old);
    await node.ok('DEL', keys, old, { noNetns: true });
    await node.ok('CHECK', { ...other, prevResult }, next);
    await node.ok('DEL', other, next);
    node.expectAsBefore();
  }),

  vmCase(
    'the node was rebooted under its pods: the devices go into their next sandboxes, and late DELs leave them there (multus 542)',
    async (vm) => {
      const node = new CniNode(vm);
      const [old, next] = [
        [node.pod(), node.pod(), node.pod()],
        [node.pod(), node.pod(), node.pod()],
      ] as const;
      const keys = [
        setUp(vm, 2),
        { type: 'host-device', pciBusID: vm.ports[0].vfAddress(3) },
        { type: 'host-device', pciBusID: vm.ports[1].address },
      ];
      for (const [at, one] of keys.entries()) await node.ok('ADD', one, old[at] ?? old[0]);
      await node.reboot(old);
      // The runtime knows nothing any more of the sandboxes of the last boot, or remembers them later.
      const results: JsonObject[] = [];
      for (const [at, one] of keys.entries()) results.push(await node.ok('ADD', one, next[at] ?? next[0]));
      for (const [at, one] of keys.entries()) await node.ok('DEL', one, old[at] ?? old[0], { noNetns: true });
      for (const [at, one] of keys.entries())
        await node.ok('CHECK', { ...one, prevResult: results[at] ?? {} }, next[at] ?? next[0]);
      for (const [at, one] of keys.entries()) await node.ok('DEL', one, next[at] ?? next[0]);
      node.expectAsBefore();
      await vm.until('carrier', () => vm.ports[1].link().running);
    },
    { limitMs: 180_000 },
  ),

  vmCase(
    'a pod comes again with its MAC on another function: no two functions keep one MAC (sriov-network-device-plugin 685)',
    async (vm) => {
      const node = new CniNode(vm);
      const [old, next] = [node.pod(), node.pod()];
      const [first, second] = [setUp(vm, 0), setUp(vm, 1)];
      const at = (index: number) => vm.ports[0].link().vfs[index]?.mac;
      const home = [at(0), at(1)];
      await node.ok('ADD', first, old);
      vm.run('ip', 'netns', 'del', old.name);
      const prevResult = await node.ok('ADD', second, next);
      await node.ok('DEL', first, old, { noNetns: true });
      deepEqual([at(0), at(1)], [home[0], MACS[0]]);
      await node.ok('CHECK', { ...second, prevResult }, next);
      await node.ok('DEL', second, next);
      deepEqual([at(0), at(1)], home);
      node.expectAsBefore();
    },
  ),

  vmCase('two pods are given one function: the second is refused and told who has it', async (vm) => {
    const node = new CniNode(vm);
    const [first, second] = [node.pod(), node.pod()];
    const keys = setUp(vm, 4);
    const prevResult = await node.ok('ADD', keys, first);
    match(
      await node.refused('ADD', setUp(vm, 4, { vlan: 5 }), second),
      new RegExp(`pod ns/${first.name} has it as net1`),
    );
    match(
      await node.refused('ADD', { type: 'host-device', runtimeConfig: { deviceID: keys.deviceID } }, second),
      new RegExp(`pod ns/${first.name} has it as net1`),
    );
    await node.ok('DEL', setUp(vm, 4, { vlan: 5 }), second);
    await node.ok('CHECK', { ...keys, prevResult }, first);
    await node.ok('DEL', keys, first);
    node.expectAsBefore();
  }),

  vmCase(
    'the application changed the MAC, name and MTU: nothing of it reaches the next pod (sriov-cni 214, plugins 773)',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const keys = { deviceID: vm.ports[0].vfAddress(5), trust: 'on', spoofchk: 'off' };
      await node.ok('ADD', keys, pod);
      pod.exec('ip', 'link', 'set', 'net1', 'down');
      pod.exec(
        'ip',
        'link',
        'set',
        'net1',
        'address',
        '02:00:5e:00:53:66',
        'mtu',
        '1280',
        'name',
        'mine',
        'alias',
        'x',
      );
      pod.exec('ip', 'link', 'set', 'mine', 'up', 'promisc', 'on', 'allmulticast', 'on');
      pod.exec('ip', 'link', 'property', 'add', 'dev', 'mine', 'altname', 'of-the-pod');
      await node.ok('DEL', keys, pod);
      node.expectAsBefore();
    },
  ),

  vmCase('the pod moved it on into a namespace of its own: it is found', async (vm) => {
    const node = new CniNode(vm);
    const [pod, inner] = [node.pod(), node.pod()];
    const keys = setUp(vm, 5);
    await node.ok('ADD', keys, pod);
    vm.run('ip', '-n', pod.name, 'link', 'set', 'net1', 'netns', inner.name);
    await node.ok('DEL', keys, pod);
    equal(inner.ip('link').length, 1);
    node.expectAsBefore();
  }),

  vmCase(
    'the physical function is in another namespace: the virtual one is set up all the same',
    async (vm) => {
      const node = new CniNode(vm);
      const [pod, away] = [node.pod(), node.pod()];
      const { name, index } = vm.ports[0].link();
      const keys = setUp(vm, 6);
      vm.run('ip', 'link', 'set', name, 'netns', away.name);
      vm.defer(() => {
        vm.run('ip', '-n', away.name, 'link', 'set', name, 'netns', '1');
        vm.kernel.host().setLink(index, { up: true });
      });
      vm.run('ip', '-n', away.name, 'link', 'set', name, 'up');
      // Without carrier igb refuses rates.
      await vm.until('carrier', () =>
        away
          .ip('link', 'show', 'dev', name, 'up')
          .some((link) => Reflect.get(Object(link), 'operstate') === 'UP'),
      );
      const prevResult = await node.ok('ADD', keys, pod);
      match(vm.run('ip', '-n', away.name, 'link', 'show', 'dev', name), /vf 6 .*vlan 100.*trust on/);
      await node.ok('CHECK', { ...keys, prevResult }, pod);
      await node.ok('DEL', keys, pod);
      const after = vm.run('ip', '-n', away.name, 'link', 'show', 'dev', name);
      match(after, /vf 6 .*spoof checking on.*trust off/);
      ok(!/vf 6 .*vlan/.test(after));
      deepEqual(node.records(), []);
    },
  ),

  vmCase('IPAM fails: the function is as it was, and a retry works', async (vm) => {
    const node = new CniNode(vm);
    const [first, pod] = [node.pod(), node.pod()];
    const ipam = { type: 'manifold-ipam', range: '192.0.2.0/30' };
    await node.ok('ADD', { deviceID: vm.ports[1].vfAddress(0), ipam }, first);
    await node.ok('ADD', { deviceID: vm.ports[1].vfAddress(1), ipam }, first, { ifname: 'net2' });
    await node.refused('ADD', setUp(vm, 0, { ipam }), pod);
    await node.ok('DEL', { deviceID: vm.ports[1].vfAddress(1), ipam }, first, { ifname: 'net2' });
    await node.ok('ADD', setUp(vm, 0, { ipam }), pod);
    await node.ok('DEL', setUp(vm, 0, { ipam }), pod);
    await node.ok('DEL', { deviceID: vm.ports[1].vfAddress(0), ipam }, first);
    node.expectAsBefore();
  }),

  vmCase(
    'ADD was killed at any step: DEL, or the next ADD, mends it',
    async (vm) => {
      const node = new CniNode(vm);
      const [pod, next] = [node.pod(), node.pod()];
      const keys = setUp(vm, 1);
      let steps = 0;
      while (node.killed('ADD', keys, pod, steps + 1)) {
        steps += 1;
        const [record] = node.records();
        // Killed after the record was finished, it has the function: the runtime, which saw a failure, calls DEL.
        if (record?.state !== 'added') {
          const again = steps % 2 === 0 ? next : pod;
          await node.ok('ADD', keys, again);
          await node.ok('DEL', keys, again);
        }
        await node.ok('DEL', keys, pod);
        node.expectAsBefore();
      }
      await node.ok('DEL', keys, pod);
      ok(steps >= 6, `${steps} steps`);
      node.expectAsBefore();
    },
    { limitMs: 180_000 },
  ),

  vmCase(
    'DEL was killed at any step: DEL again finishes it',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const keys = setUp(vm, 2);
      let steps = 0;
      for (;;) {
        await node.ok('ADD', keys, pod);
        if (!node.killed('DEL', keys, pod, steps + 1)) break;
        steps += 1;
        await node.ok('DEL', keys, pod);
        node.expectAsBefore();
      }
      ok(steps >= 3, `${steps} steps`);
      node.expectAsBefore();
    },
    { limitMs: 180_000 },
  ),
]);
