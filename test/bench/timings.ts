// Times: every case once in each round, so that what the machine does meanwhile hits all alike. Medians.
import { type Command, type Cost, run } from './child.ts';
import { measureFloor } from './floor.ts';
import { executable, type Form, type Ipam, reference, script, type World } from './world.ts';

export interface Timing {
  readonly name: string;
  readonly add: Cost;
  readonly del: Cost;
}

export interface Case {
  readonly name: string;
  /** @param round from 0 on; the first is not counted */
  measure(round: number): { add: Cost; del: Cost };
}

const NOTHING: Cost = { wallMs: 0, cpuMs: 0 };

/** Names of the cases that others are compared with. */
export const BASE = {
  node: 'empty Node',
  floor: 'kernel floor',
  static: 'Go, static',
  leases: 'Go, host-local',
} as const;

function casesOf(world: World, plugins: string): Case[] {
  const pair = (add: Command, del: Command) => ({ measure: () => ({ add: run(add), del: run(del) }) });
  const macvlan = (name: string, form: Form, ipam: Ipam): Case => ({
    name,
    ...pair(world.macvlan(form, 'ADD', ipam), world.macvlan(form, 'DEL', ipam)),
  });
  const go = reference(plugins);
  return [
    { name: BASE.node, measure: () => ({ add: run(world.nothing), del: NOTHING }) },
    { name: BASE.floor, measure: () => measureFloor(world.nic, world.pods[0]?.path ?? '') },
    macvlan(BASE.static, go, 'static'),
    macvlan('executable, static', executable, 'static'),
    macvlan('script, static', script, 'static'),
    macvlan(BASE.leases, go, 'host-local'),
    macvlan('executable, leases', executable, 'manifold-ipam'),
    macvlan('script, leases', script, 'manifold-ipam'),
    ...[1, 4, 8].map((networks) => ({
      name: `manifold, default + ${networks}`,
      ...pair(world.manifold(executable, 'ADD', networks), world.manifold(executable, 'DEL', networks)),
    })),
  ];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const medianCost = (costs: readonly Cost[]): Cost => ({
  wallMs: median(costs.map(({ wallMs }) => wallMs)),
  cpuMs: median(costs.map(({ cpuMs }) => cpuMs)),
});

export const measureTimes = (world: World, plugins: string, rounds: number): Timing[] =>
  interleaved(casesOf(world, plugins), rounds);

/** Every case once in each round. */
export function interleaved(cases: readonly Case[], rounds: number): Timing[] {
  const samples = cases.map(() => [] as { add: Cost; del: Cost }[]);
  // The first round fills the page cache and the store; it is not counted.
  for (let round = 0; round <= rounds; round += 1)
    for (const [index, one] of cases.entries()) {
      const sample = one.measure(round);
      if (round > 0) samples[index]?.push(sample);
    }
  return cases.map(({ name }, index) => ({
    name,
    add: medianCost(samples[index]?.map(({ add }) => add) ?? []),
    del: medianCost(samples[index]?.map(({ del }) => del) ?? []),
  }));
}
