// What a virtual function costs to move in and out: by our plugin, by `ip` step for step, and by the bare netlink calls.
import { deepEqual } from 'node:assert/strict';
import { cpuUsage, execPath, hrtime } from 'node:process';
import type { Verb } from '../../../pkg/cni/plugin.ts';
import { vmCase, vmGroup } from '../../vm/case.ts';
import { CniNode } from '../../vm/guest/cni-node.ts';
import { describeVf } from '../../vm/guest/ports.ts';
import type { Vm } from '../../vm/guest/vm.ts';
import { SHARES } from '../../vm/machine/init.ts';
import { type Cost, run } from '../child.ts';
import { byIp } from './by-ip.ts';
import { byNetlink } from './by-netlink.ts';
import { type Row, type Subject, VM_ROWS } from './subject.ts';

const ROUNDS = 15;

interface Way {
  readonly row: Row;
  add(): Promise<Cost> | Cost;
  del(): Promise<Cost> | Cost;
}

/** Each leaves the function as it was. */
function waysOf(vm: Vm, node: CniNode, subject: Subject): Way[] {
  const { keys, pod } = subject;
  const nothing = { words: [execPath, '-e', '0'], env: {}, stdin: '' };
  const conf = JSON.stringify(node.conf(keys));
  const call = (verb: Verb) =>
    run({ words: [`${SHARES.repo}/dist/bin/sriov`], env: node.environment(verb, pod), stdin: conf });
  const ip = byIp(subject);
  const netlink = byNetlink(vm.kernel, subject);
  const all = (commands: readonly (readonly string[])[]) =>
    sum(commands.map((words) => run({ words: ['/usr/sbin/ip', ...words], env: {}, stdin: '' })));
  return [
    { row: 'node', add: () => run(nothing), del: () => ({ wallMs: 0, cpuMs: 0 }) },
    { row: 'floor', add: () => timed(netlink.add), del: () => timed(netlink.del) },
    { row: 'ip', add: () => all(ip.add), del: () => all(ip.del) },
    {
      row: 'warm',
      add: () => timed(() => node.ok('ADD', keys, pod)),
      del: () => timed(() => node.ok('DEL', keys, pod)),
    },
    { row: 'executable', add: () => call('ADD'), del: () => call('DEL') },
  ];
}

async function timed(work: () => unknown): Promise<Cost> {
  const at = hrtime.bigint();
  const cpu = cpuUsage();
  await work();
  const { user, system } = cpuUsage(cpu);
  return { wallMs: Number(hrtime.bigint() - at) / 1e6, cpuMs: (user + system) / 1000 };
}

const sum = (costs: readonly Cost[]): Cost => ({
  wallMs: costs.reduce((all, { wallMs }) => all + wallMs, 0),
  cpuMs: costs.reduce((all, { cpuMs }) => all + cpuMs, 0),
});

export const VM_BENCH = vmGroup('bench', [
  vmCase(
    'a virtual function, in and out',
    async (vm) => {
      const node = new CniNode(vm);
      const pod = node.pod();
      const [port] = vm.ports;
      const index = 2;
      const { name, mac = '', mtu } = port.homeVf(index);
      const mine = { vlan: 100, qos: 3, mac: '02:00:5e:00:53:01', mtu: 1400, address: '192.0.2.1/24' };
      const keys = {
        deviceID: port.vfAddress(index),
        ...{ vlan: mine.vlan, vlanQoS: mine.qos, mac: mine.mac, spoofchk: 'off', trust: 'on', mtu: mine.mtu },
      };
      const subject = { keys, pod, port: port.link().name, index, home: { name, mac, mtu }, mine };
      const before = describeVf(port, index);
      const rounds = Number(vm.settings.ROUNDS ?? ROUNDS);
      const ways = waysOf(vm, node, subject);
      const samples = VM_ROWS.map((row) => ({ row, add: [] as Cost[], del: [] as Cost[] }));
      // The first round fills caches; it is not counted.
      for (let round = 0; round <= rounds; round += 1)
        for (const { row, add, del } of ways) {
          const sample = { add: await add(), del: await del() };
          deepEqual(describeVf(port, index), before, `after ${row}`);
          const of = samples.find((one) => one.row === row);
          if (round > 0) of?.add.push(sample.add);
          if (round > 0) of?.del.push(sample.del);
        }
      vm.tell(JSON.stringify(samples));
    },
    { limitMs: 1_200_000 },
  ),
]);
