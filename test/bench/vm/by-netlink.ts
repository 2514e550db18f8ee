// The kernel's floor: the netlink messages of a virtual function's ADD and DEL in a process that runs and is warm.
import type { Kernel, VirtualFunction } from '../../../pkg/kernel/kernel.ts';
import type { Subject } from './subject.ts';

const NO_MAC = '00:00:00:00:00:00';

export function byNetlink(kernel: Kernel, { pod: at, port, index, home, mine }: Subject) {
  const host = kernel.host();
  const indexOf = (name: string) => host.link({ name })?.index ?? 0;
  const set = (settings: Partial<VirtualFunction>) =>
    host.setLink(indexOf(port), { vf: { ...settings, index } });
  return {
    add(): void {
      const pod = kernel.open(at.path);
      const own = indexOf(home.name);
      host.setLink(own, { mac: mine.mac });
      set({ mac: mine.mac, vlan: mine.vlan, qos: mine.qos, spoofchk: false, trust: true });
      host.setLink(own, { mtu: mine.mtu });
      const there = host.moveLink(own, pod, { name: 'net1' });
      pod.addAddress(there, { cidr: mine.address });
      pod.setLink(there, { up: true });
      pod.close();
    },
    del(): void {
      const pod = kernel.open(at.path);
      const link = pod.link({ name: 'net1' });
      if (link === undefined) throw new Error('no net1');
      pod.setLink(link.index, { up: false });
      const back = pod.moveLink(link.index, host, { name: home.name });
      set({ mac: NO_MAC });
      host.setLink(back, { mac: home.mac, mtu: home.mtu });
      set({ vlan: 0, qos: 0, spoofchk: true, trust: false });
      pod.close();
    },
  };
}
