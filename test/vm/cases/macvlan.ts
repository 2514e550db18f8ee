// What the guest's kernel, older than the one of most machines that run these tests, does with a macvlan.
import { deepEqual, equal, throws } from 'node:assert/strict';
import { makeNetns } from '../../kit/netns.ts';
import { vmCase, vmGroup } from '../case.ts';

export const macvlan = vmGroup('a macvlan', [
  vmCase(
    'may have a name in the pod that another link has on the host: eth0',
    ({ kernel, ports: [port] }) => {
      using netns = makeNetns();
      const pod = kernel.open(netns.path);
      try {
        const { index: parentIndex, name } = port.link();
        equal(name, 'eth0');
        const wanted = { name, parentIndex, mode: 'bridge' } as const;
        const link = kernel.host().createMacvlan(wanted, pod);
        deepEqual([link.name, link.kind, link.parentIndex], ['eth0', 'macvlan', parentIndex]);
        throws(() => kernel.host().createMacvlan(wanted, pod), /Cannot create macvlan eth0 .*EEXIST/);
        equal(port.link().index, parentIndex);
      } finally {
        pod.close();
      }
    },
  ),
]);
