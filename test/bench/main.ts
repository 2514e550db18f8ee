// make bench: measures our plugins against the reference plugins, an empty Node and the kernel's floor, prints the
// tables and puts them between the markers of docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { parseArgs } from 'node:util';
import { debianPlugins, goPlugins } from '../kit/reference-plugins.ts';
import { measureMemories } from './memories.ts';
import { builtinsText, loadTable, machine, memoryTable, sizeTable, timeTable } from './report.ts';
import { measureTimes } from './timings.ts';
import { makeWorld } from './world.ts';

const FILE = new URL('../../docs/performance.md', import.meta.url);
const [FROM, TO] = ['<!-- bench: begin -->', '<!-- bench: end -->'];

const { values } = parseArgs({
  args: argv.slice(2),
  options: { rounds: { type: 'string', default: '15' }, pods: { type: 'string', default: '32' } },
});
const rounds = Number(values.rounds);
const plugins = (await goPlugins()) ?? debianPlugins();
using world = makeWorld(plugins, Number(values.pods));

const sections = [
  machine(rounds),
  timeTable(measureTimes(world, plugins, rounds)),
  memoryTable(measureMemories(world, plugins)),
  sizeTable(plugins),
  loadTable(),
  builtinsText(world),
];
const report = sections.join('\n\n');
console.log(report);

const text = readFileSync(FILE, 'utf8');
const [begin, end] = [text.indexOf(FROM), text.indexOf(TO)];
if (begin < 0 || end < begin)
  throw new Error(`Cannot write ${FILE.pathname}: it has no markers ${FROM} and ${TO}`);
writeFileSync(FILE, `${text.slice(0, begin + FROM.length)}\n\n${report}\n\n${text.slice(end)}`);
