// Virtual functions moved in and out at random by many workers, some of whom are killed: all are at home in the end.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import type { TestNetns } from '../../kit/netns.ts';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode } from '../guest/cni-node.ts';
import { type Port, VFS_PER_PORT } from '../guest/port.ts';
import { describeVf } from '../guest/ports.ts';
import { createRandom, type Random } from '../guest/random.ts';
import type { Vm } from '../guest/vm.ts';

const WORKERS = 8;
/** In `make test`; `make stress` wants 200. */
const ROUNDS = 20;
/** One of each five rounds is killed. */
const BLOCK = 5;

/** Numbers of a function of the first port and one of the second. */
type Pair = readonly [number, number];

/** One pod of a round, with a function of one port. */
interface Side {
  readonly port: Port;
  readonly index: number;
  readonly pod: TestNetns;
  readonly keys: JsonObject;
  readonly containerId: string;
  readonly mac: string;
  readonly before: string;
}

class Stress {
  readonly #vm: Vm;
  readonly #node: CniNode;
  readonly #random: Random;
  readonly #rounds: number;
  readonly #free: readonly [number[], number[]];
  readonly #killed: ReadonlySet<number>;
  readonly #waiting: ((pair: Pair) => void)[] = [];
  #next = 0;
  readonly counts = { killed: 0, tooLate: 0, leftRecord: 0, namespaceFirst: 0, frames: 0 };

  constructor(vm: Vm, node: CniNode, seed: number, rounds: number) {
    this.#vm = vm;
    this.#node = node;
    this.#random = createRandom(seed);
    this.#rounds = rounds;
    const all = () => Array.from({ length: VFS_PER_PORT }, (_, index) => index);
    this.#free = [all(), all()];
    const blocks = Array.from({ length: Math.ceil(rounds / BLOCK) }, (_, block) => block * BLOCK);
    this.#killed = new Set(blocks.map((first) => first + 1 + this.#random.below(BLOCK)));
  }

  async work(): Promise<void> {
    let pods = [this.#node.pod(), this.#node.pod()] as const;
    while (this.#next < this.#rounds) {
      this.#next += 1;
      const round = this.#next;
      const [left, right] = await this.#take();
      const vlan = 2 + this.#random.below(4000);
      const a = this.#side(round, 0, left, pods[0], vlan);
      const b = this.#side(round, 1, right, pods[1], vlan);
      const gone = await this.#round(a, b, vlan, this.#killed.has(round));
      this.#giveBack([left, right]);
      if (gone) pods = [this.#node.pod(), pods[1]];
    }
  }

  /** Seven pairs for eight workers: one waits, until one of the others hands on its own. */
  #take(): Promise<Pair> {
    const [left, right] = this.#free.map((port) => this.#random.take(port));
    if (left !== undefined && right !== undefined) return Promise.resolve([left, right]);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #giveBack(pair: Pair): void {
    const next = this.#waiting.shift();
    if (next === undefined) for (const at of [0, 1] as const) this.#free[at].push(pair[at]);
    else next(pair);
  }

  #side(round: number, at: 0 | 1, index: number, pod: TestNetns, vlan: number): Side {
    const { below, oneIn } = this.#random;
    const port = this.#vm.ports[at];
    const given = `02:00:5e:${[round >> 8, round & 255, at].map((n) => n.toString(16).padStart(2, '0')).join(':')}`;
    const own = oneIn(4);
    const keys = {
      deviceID: port.vfAddress(index),
      ...{ vlan, vlanQoS: below(8) },
      ...(own ? {} : { mac: given }),
      ...(oneIn(2) ? { spoofchk: 'off', trust: 'on' } : {}),
      ...(oneIn(2) ? { mtu: 1300 + below(200) } : {}),
      ...(oneIn(3) ? { max_tx_rate: 100 + below(900) } : {}),
    };
    const mac = own ? (port.homeVf(index).mac ?? '') : given;
    const containerId = `${pod.name}-${round}`;
    return { port, index, pod, keys, containerId, mac, before: describeVf(port, index) };
  }

  /** @returns whether the left pod's namespace was removed */
  async #round(a: Side, b: Side, vlan: number, kill: boolean): Promise<boolean> {
    const verb = kill ? (this.#random.oneIn(2) ? 'DEL' : 'ADD') : undefined;
    if (verb === 'ADD') {
      await this.#kill('ADD', a);
      await this.#del(a);
      this.#expectHome(a);
    }
    const from = await this.#add(a);
    const to = await this.#add(b);
    ok(from !== to, `${from} was given twice`);
    this.#exchange(a, b, to, vlan);
    if (verb === 'DEL') await this.#kill('DEL', a);
    const gone = this.#random.oneIn(8);
    if (gone) {
      this.counts.namespaceFirst += 1;
      this.#vm.run('ip', 'netns', 'del', a.pod.name);
    }
    for (const side of this.#random.oneIn(2) ? [a, b] : [b, a]) {
      await this.#del(side);
      this.#expectHome(side);
    }
    return gone;
  }

  async #add({ keys, pod, containerId }: Side): Promise<string> {
    const { ips } = await this.#node.ok('ADD', keys, pod, { containerId });
    return (ips as { address: string }[])[0]?.address.split('/')[0] ?? '';
  }

  async #del({ keys, pod, containerId }: Side): Promise<void> {
    await this.#node.ok('DEL', keys, pod, { containerId });
  }

  async #kill(verb: 'ADD' | 'DEL', { keys, pod, containerId }: Side): Promise<void> {
    const step = 1 + this.#random.below(verb === 'ADD' ? 6 : 3);
    const ms = this.#random.below(60);
    const killed = await this.#node.killedAfter(verb, keys, pod, { containerId, step, ms });
    this.counts[killed ? 'killed' : 'tooLate'] += 1;
    if (this.#node.records().some((record) => record.containerId === containerId))
      this.counts.leftRecord += 1;
  }

  #exchange(a: Side, b: Side, to: string, vlan: number): void {
    const mark = this.#vm.wire.mark();
    ok(ping(a.pod.path, to), `${a.keys.deviceID} did not reach ${b.keys.deviceID} (${to}, VLAN ${vlan})`);
    const frames = this.#vm.wire.frames(mark).filter(({ src, dst }) => src === a.mac && dst === b.mac);
    ok(frames.length > 0, `no frame from ${a.mac} to ${b.mac} on the wire`);
    deepEqual([...new Set(frames.map((frame) => frame.vlan?.id))], [vlan]);
    this.counts.frames += frames.length;
  }

  #expectHome({ port, index, before }: Side): void {
    equal(describeVf(port, index), before);
  }
}

export const sriovStress = vmGroup('sriov under stress:', [
  vmCase(
    '8 workers move 14 functions in and out at random, some are killed: each is at home as it was, and no note is left',
    async (vm) => {
      const seed = Number(vm.settings.SEED ?? randomInt(2 ** 31));
      const rounds = Number(vm.settings.ROUNDS ?? ROUNDS);
      vm.tell(`${rounds} rounds; the same again: MANIFOLD_VM_SEED=${seed} MANIFOLD_VM_ROUNDS=${rounds}`);
      const node = new CniNode(vm);
      const stress = new Stress(vm, node, seed, rounds);
      const started = performance.now();
      await Promise.all(Array.from({ length: WORKERS }, () => stress.work()));
      const seconds = Math.round((performance.now() - started) / 1000);
      vm.tell(`${seconds} s: ${JSON.stringify(stress.counts)}`);
      // Some have done their work before their moment comes; were it most, this would be no test of kills.
      const { killed, tooLate } = stress.counts;
      ok(killed >= tooLate, `${killed} were killed, ${tooLate} were over before`);
      node.expectAsBefore();
    },
    { limitMs: 1_500_000 },
  ),
]);
