// The part of `make bench` that needs a cluster: two control planes, one with a handful of leases and one with ten
// thousand, so that both are measured in the same rounds.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stderr } from 'node:process';
import { makeHostNic, makeNetns } from '../kit/netns.ts';
import { whereabouts } from '../kit/whereabouts.ts';
import { measureBursts } from './kube-bursts.ts';
import { countCalls } from './kube-calls.ts';
import { BenchCluster, fillLeases, fillTheirPool } from './kube-cluster.ts';
import { kubeCommands } from './kube-commands.ts';
import { HELD, measureKubeCost, measureScale, RANGES } from './kube-cost.ts';
import { fillCluster, measureLoad } from './kube-load.ts';
import { burstTable, callsTable, costTable, loadTable, scaleTable, versions } from './kube-report.ts';

/** @param plugins directory of the reference plugins @returns the sections of the report */
export async function measureCluster(plugins: string, rounds: number): Promise<string[]> {
  const say = (what: string) => stderr.write(`bench: ${what}\n`);
  const directory = mkdtempSync(join(tmpdir(), 'manifold-bench-kube-'));
  const whereaboutsPath = await whereabouts();
  using nic = makeHostNic();
  using pod = makeNetns();
  try {
    say('two control planes, one of them with 10,000 leases');
    await using few = await BenchCluster.start();
    await using many = await BenchCluster.start();
    const filled = await fillCluster(many);
    await fillTheirPool(many, { subnet: RANGES.theirFull, count: HELD.theirFull });
    const holders = [{ name: 'pod-0', uid: 'uid-0', node: 'node-0' }];
    for (const subnet of [RANGES.wide, RANGES.full, RANGES.small])
      await fillLeases(few.client, { subnet, count: HELD.few }, holders);
    await fillTheirPool(few, { subnet: RANGES.theirFull, count: HELD.few });
    const commands = kubeCommands({
      ...{ plugins, whereabouts: whereaboutsPath, nic: nic.name, netns: pod.path, directory },
    });
    const place = (cluster: BenchCluster, name: string) => ({
      ...{ kubeconfig: cluster.kubeconfig, node: 'bench', state: join(directory, name) },
    });
    const places = { few: place(few, 'few'), many: place(many, 'many') };
    say('ADD and DEL beside Whereabouts');
    const cost = measureKubeCost(commands, places.few, rounds);
    say('with 10,000 leases beside a handful');
    const scale = measureScale(commands, places, Math.ceil(rounds / 2));
    say('requests of each call');
    const calls = await countCalls(commands, {
      few: { cluster: few, place: places.few },
      many: { cluster: many, place: places.many },
    });
    say('bursts');
    const bursts = await measureBursts({ commands, cluster: few, place: places.few });
    say('200 agents');
    const load = await measureLoad(many);
    const { gitVersion } = await few.plane.api('GET', '/version');
    return [
      versions(gitVersion),
      costTable(cost),
      callsTable(calls),
      scaleTable(scale),
      burstTable(bursts),
      loadTable(filled, load),
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
