// Several processes at once, some of them killed.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';

const mac = (n: number) => `02:00:5e:00:53:${n.toString(16).padStart(2, '0')}`;

export const sriovRaces = vmGroup('sriov, several at once:', [
  vmCase(
    'two are given one function: one has it, the other is told so',
    async (vm) => {
      const node = new CniNode(vm);
      const pods = [node.pod(), node.pod()] as const;
      for (let round = 0; round < 3; round += 1) {
        const keys = pods.map((_, at) => ({
          deviceID: vm.ports[0].vfAddress(0),
          vlan: 10 + at,
          mac: mac(at),
        }));
        const ends = await Promise.all(pods.map((pod, at) => node.process('ADD', keys[at] ?? {}, pod)));
        deepEqual(ends.filter(({ ok }) => ok).length, 1, ends.map(({ text }) => text).join('\n'));
        const winner = ends.findIndex(({ ok }) => ok);
        match(ends[1 - winner]?.text ?? '', /has it as net1|try again|Retry/);
        equal(vm.ports[0].link().vfs[0]?.vlan, 10 + winner);
        await Promise.all(pods.map((pod, at) => node.ok('DEL', keys[at] ?? {}, pod)));
        node.expectAsBefore();
      }
    },
    { limitMs: 120_000 },
  ),

  vmCase(
    'four workers over four functions, every third call killed: all are as before in the end',
    async (vm) => {
      const node = new CniNode(vm);
      let calls = 0;
      const worker = async (at: number): Promise<void> => {
        const pod = node.pod();
        for (let round = 0; round < 2; round += 1) {
          const function_ = (at + round) % 4;
          const keys = {
            deviceID: vm.ports[at % 2 === 0 ? 0 : 1].vfAddress(function_),
            vlan: 10 + at,
            mac: mac(at),
            mtu: 1400,
          };
          calls += 1;
          const kill = calls % 3 === 0 ? 150 + ((calls * 37) % 900) : undefined;
          await node.process('ADD', keys, pod, kill);
          await node.process('DEL', keys, pod, calls % 2 === 0 ? kill : undefined);
          const last = await node.process('DEL', keys, pod);
          ok(last.ok, last.text);
        }
      };
      await Promise.all([0, 1, 2, 3].map(worker));
      node.expectAsBefore();
    },
    { limitMs: 240_000 },
  ),
]);
