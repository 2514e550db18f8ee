// The steps of sriov-cni, each a call of `ip`: the order is its own (settings at the port, temporary name, move).
import type { Subject } from './subject.ts';

const words = (line: string): string[] => line.split(' ');

export function byIp({ pod, port, index, home, mine }: Subject): { add: string[][]; del: string[][] } {
  const vf = `link set ${port} vf ${index}`;
  const inside = `-n ${pod.name}`;
  const add = [
    `-d link show ${port}`,
    `link show ${home.name}`,
    `${vf} vlan ${mine.vlan} qos ${mine.qos}`,
    `link set ${home.name} address ${mine.mac}`,
    `${vf} mac ${mine.mac}`,
    `${vf} spoofchk off`,
    `${vf} trust on`,
    `link set ${home.name} down`,
    `link set ${home.name} name temp_${index}`,
    `link set temp_${index} mtu ${mine.mtu}`,
    `link set temp_${index} netns ${pod.name}`,
    `${inside} link set temp_${index} name net1`,
    `${inside} addr add ${mine.address} dev net1`,
    `${inside} link set net1 up`,
  ];
  const del = [
    `${inside} link show net1`,
    `${inside} link set net1 down`,
    `${inside} link set net1 name ${home.name}`,
    `${inside} link set ${home.name} mtu ${home.mtu}`,
    `${inside} link set ${home.name} netns 1`,
    `${vf} mac 00:00:00:00:00:00`,
    `link set ${home.name} address ${home.mac}`,
    `${vf} vlan 0`,
    `${vf} spoofchk on`,
    `${vf} trust off`,
  ];
  return { add: add.map(words), del: del.map(words) };
}
