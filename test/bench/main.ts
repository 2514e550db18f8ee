// make bench: measures our plugins against the reference plugins, Whereabouts, an empty Node and the kernel's floor,
// prints the tables and puts them between the markers of docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv, stderr } from 'node:process';
import { parseArgs } from 'node:util';
import { controlPlaneBinaries } from '../kit/control-plane/binaries.ts';
import { debianPlugins, goPlugins } from '../kit/reference-plugins.ts';
import { whereabouts } from '../kit/whereabouts.ts';
import { measureCluster } from './kube-main.ts';
import { measureMemories } from './memories.ts';
import { builtinsText, loadTable, machine, memoryTable, sizeTable, timeTable } from './report.ts';
import { measureTimes } from './timings.ts';
import { measureVm } from './vm/measure.ts';
import { makeWorld } from './world.ts';

const FILE = new URL('../../docs/performance.md', import.meta.url);

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    rounds: { type: 'string', default: '15' },
    pods: { type: 'string', default: '32' },
    /** plugins, cluster or vm: the other tables stay as they are. */
    only: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const plugins = (await goPlugins()) ?? debianPlugins();

if (values.only === undefined || values.only === 'plugins') {
  using world = makeWorld(plugins, Number(values.pods));
  write('bench', [
    machine(rounds),
    timeTable(measureTimes(world, plugins, rounds)),
    memoryTable(measureMemories(world, plugins)),
    sizeTable(plugins),
    loadTable(),
    builtinsText(world),
  ]);
}
if ((values.only === undefined || values.only === 'cluster') && (await hasCluster()))
  write('cluster', [machine(rounds), ...(await measureCluster(plugins, rounds))]);
if (values.only === undefined || values.only === 'vm')
  write('vm', [machine(rounds, 'the quickest'), ...(await measureVm(rounds))]);

/** False where there is no Go to build one with, and it was not asked for. */
async function hasCluster(): Promise<boolean> {
  try {
    await controlPlaneBinaries();
    await whereabouts();
    return true;
  } catch (error) {
    if (values.only === 'cluster' || !(error instanceof Error)) throw error;
    stderr.write(`The tables about clusters stay as they are: ${error.message}\n`);
    return false;
  }
}

function write(name: string, sections: readonly string[]): void {
  const report = sections.join('\n\n');
  console.log(report);
  const [from, to] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const text = readFileSync(FILE, 'utf8');
  const [begin, end] = [text.indexOf(from), text.indexOf(to)];
  if (begin < 0 || end < begin)
    throw new Error(`Cannot write ${FILE.pathname}: it has no markers ${from} and ${to}`);
  writeFileSync(FILE, `${text.slice(0, begin + from.length)}\n\n${report}\n\n${text.slice(end)}`);
}
