// Many claims at once, as when all pods of a job start, and then all releases at once. Nobody calls again: what fails
// is counted.
import { join } from 'node:path';
import { stderr } from 'node:process';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { theirPools } from '../kit/whereabouts-objects.ts';
import { type Ended, runTogether } from './child.ts';
import type { BenchCluster } from './kube-cluster.ts';
import type { Asked, KubeCommands, KubePlace, Side } from './kube-commands.ts';
import { planeCpuMs } from './server-usage.ts';

const BURSTS = [32, 64, 128] as const;
const NODES = 16;

export interface BurstHalf {
  readonly wallMs: number;
  /** Of all calls together. */
  readonly cpuMs: number;
  /** Of API server and etcd. */
  readonly serverMs: number;
  readonly failed: number;
}

export interface Burst {
  readonly name: string;
  readonly count: number;
  readonly add: BurstHalf;
  readonly del: BurstHalf;
  /** Addresses that two were told. */
  readonly twice: number;
  /** Addresses that are still held when all DELs are done. */
  readonly late: number;
  /** Of these, held also after one more ADD and DEL on each node. */
  readonly leaked: number;
}

export interface BurstWorld {
  readonly commands: KubeCommands;
  readonly cluster: BenchCluster;
  readonly place: KubePlace;
}

export async function measureBursts(world: BurstWorld): Promise<Burst[]> {
  const bursts: Burst[] = [];
  for (const [index, count] of BURSTS.entries()) {
    bursts.push(await burst(world, 'whereabouts', 'whereabouts', `10.${100 + index}.0.0/16`, count));
    bursts.push(await burst(world, 'manifold', 'manifold-ipam, a /16', `10.${110 + index}.0.0/16`, count));
    bursts.push(await burst(world, 'manifold', 'manifold-ipam, a /24', `10.120.${index}.0/24`, count));
  }
  return bursts;
}

async function burst(
  { commands, cluster, place }: BurstWorld,
  side: Side,
  name: string,
  range: string,
  count: number,
): Promise<Burst> {
  const asked = Array.from({ length: count }, (_, index): Asked => {
    const node = `burst-${index % NODES}`;
    const own = { ...place, node, state: join(place.state, node) };
    return { place: own, range, pod: `burst-${range.replaceAll(/[./]/g, '-')}-${index}` };
  });
  const all = (verb: string): [BurstHalf, Ended[]] => {
    const began = performance.now();
    const before = planeCpuMs(cluster.plane);
    const ended = runTogether(asked.map((one) => commands.ipam(side, verb, one)));
    const half = {
      wallMs: performance.now() - began,
      cpuMs: ended.reduce((sum, { cost }) => sum + cost.cpuMs, 0),
      serverMs: planeCpuMs(cluster.plane) - before,
      failed: ended.filter(({ status }) => status !== 0).length,
    };
    sayFailures(`${name}, ${count} at once`, verb, ended);
    return [half, ended];
  };
  const [add, added] = all('ADD');
  const told = added.filter(({ status }) => status === 0).map(({ stdout }) => addressOf(stdout));
  const [del] = all('DEL');
  const late = await heldIn(cluster, side, range);
  if (late > 0)
    for (const { place: node } of asked.slice(0, NODES))
      for (const verb of ['ADD', 'DEL'])
        runTogether([commands.ipam(side, verb, { place: node, range, pod: `later-${node.node}` })]);
  const leaked = late === 0 ? 0 : await heldIn(cluster, side, range);
  return { name, count, add, del, twice: told.length - new Set(told).size, late, leaked };
}

/** Once for each reason: what a process printed that did not end with 0. */
function sayFailures(name: string, verb: string, ended: readonly Ended[]): void {
  const failed = ended.filter(({ status }) => status !== 0);
  const reasons = Map.groupBy(failed, ({ stdout }) => stdout.replaceAll(/[0-9]+/g, 'N').slice(0, 300));
  for (const [reason, those] of reasons)
    stderr.write(`bench: ${name}: ${those.length} of ${ended.length} ${verb} failed: ${reason}\n`);
}

const addressOf = (stdout: string): string =>
  (JSON.parse(stdout) as { ips: { address: string }[] }).ips[0]?.address ?? '';

async function heldIn({ plane, client }: BenchCluster, side: Side, range: string): Promise<number> {
  if (side === 'whereabouts') {
    const pool = (await theirPools(plane)).find(({ spec }) => spec.range === range);
    return Object.keys(pool?.spec.allocations ?? {}).length;
  }
  const { items } = await client.list<IpLease>(IP_LEASES, { fieldSelector: `spec.subnet=${range}` });
  return items.filter(({ spec }) => spec.phase === 'Held').length;
}
