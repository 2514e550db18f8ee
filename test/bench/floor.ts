// The kernel's floor: the netlink work of a macvlan ADD and DEL in a process that is running and warm already.
import { cpuUsage, hrtime } from 'node:process';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import type { Cost } from './child.ts';

function timed(work: () => void): Cost {
  const at = hrtime.bigint();
  const cpu = cpuUsage();
  work();
  const { user, system } = cpuUsage(cpu);
  return { wallMs: Number(hrtime.bigint() - at) / 1e6, cpuMs: (user + system) / 1000 };
}

/** Opens the pod's namespace, makes the link there, gives it an address, sets it up; then deletes it. */
export function measureFloor(nic: string, netns: string): { add: Cost; del: Cost } {
  const kernel = createKernel();
  const host = kernel.host();
  const parentIndex = host.link({ name: nic })?.index ?? 0;
  const add = timed(() => {
    const pod = kernel.open(netns);
    const link = host.createMacvlan({ name: 'net1', parentIndex, mode: 'bridge' }, pod);
    pod.addAddress(link.index, { cidr: '10.213.2.2/24' });
    pod.setLink(link.index, { up: true });
    pod.close();
  });
  const del = timed(() => {
    const pod = kernel.open(netns);
    const index = pod.link({ name: 'net1' })?.index;
    if (index !== undefined) pod.deleteLinks([index]);
    pod.close();
  });
  return { add, del };
}
