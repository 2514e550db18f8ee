// What was measured with a cluster, as the tables of docs/performance.md.
import { WHEREABOUTS_VERSION } from '../kit/whereabouts.ts';
import type { Cost } from './child.ts';
import type { Burst, BurstHalf } from './kube-bursts.ts';
import type { CallsRow } from './kube-calls.ts';
import { COST_BASE, type Scale } from './kube-cost.ts';
import type { Filled, ListCost, Load } from './kube-load.ts';
import { table } from './report.ts';
import type { Timing } from './timings.ts';

const ms = ({ wallMs, cpuMs }: Cost) => `${wallMs.toFixed(0)} (${cpuMs.toFixed(0)})`;
const ratio = (mine: Cost, other: Cost) =>
  `${(mine.wallMs / other.wallMs).toFixed(2)} (${(mine.cpuMs / other.cpuMs).toFixed(2)})`;

export const versions = (kubernetes: string): string =>
  `Kubernetes ${kubernetes}, API server and etcd on the same cores as the plugins; Whereabouts ${WHEREABOUTS_VERSION}.`;

export function costTable(timings: readonly Timing[]): string {
  const base = timings.find(({ name }) => name === COST_BASE);
  return table(
    ['one pod', 'ADD ms', 'x whereabouts', 'DEL ms', 'x whereabouts'],
    timings.map(({ name, add, del }) =>
      base === undefined || name === COST_BASE
        ? [name, ms(add), '1.00 (1.00)', ms(del), '1.00 (1.00)']
        : [name, ms(add), ratio(add, base.add), ms(del), ratio(del, base.del)],
    ),
  );
}

export function callsTable(rows: readonly CallsRow[]): string {
  const kilobytes = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
  return table(
    ['requests to the API server', 'ADD', 'kB answered', 'DEL', 'kB answered'],
    rows.map(({ name, add, del }) => [
      name,
      `${add.requests}`,
      kilobytes(add.kilobytes),
      del === undefined ? '' : `${del.requests}`,
      del === undefined ? '' : kilobytes(del.kilobytes),
    ]),
  );
}

export function scaleTable(scales: readonly Scale[]): string {
  return table(
    ['with 10,000 leases', 'ADD ms', 'x with 12', 'DEL ms', 'x with 12'],
    scales.map(({ name, few, many }) => [
      name,
      ms(many.add),
      ratio(many.add, few.add),
      ms(many.del),
      ratio(many.del, few.del),
    ]),
  );
}

export function burstTable(bursts: readonly Burst[]): string {
  const seconds = ({ wallMs }: BurstHalf) => (wallMs / 1000).toFixed(2);
  const base = (count: number) => bursts.find((one) => one.name === 'whereabouts' && one.count === count);
  const times = (mine: number, other: number | undefined) => (other ? (mine / other).toFixed(2) : '');
  return table(
    [
      ...['at once', 'case', 'ADD s', 'x', 'failed', 'DEL s', 'x', 'failed', 'twice', 'late', 'leaked'],
      ...['CPU ms a pod', 'of the API server'],
    ],
    bursts.map(({ name, count, add, del, twice, late, leaked }) => [
      `${count}`,
      name,
      seconds(add),
      times(add.wallMs, base(count)?.add.wallMs),
      `${add.failed}`,
      seconds(del),
      times(del.wallMs, base(count)?.del.wallMs),
      `${del.failed}`,
      `${twice}`,
      `${late}`,
      `${leaked}`,
      ((add.cpuMs + del.cpuMs) / count).toFixed(0),
      ((add.serverMs + del.serverMs) / count).toFixed(1),
    ]),
  );
}

export function loadTable(filled: Filled, load: Load): string {
  const { nodes, idle, kubelets, agents, churn, lists, ordinary, leader } = load;
  const own = agents - kubelets;
  const watchUs = ((churn.watched - churn.alone) * 1000) / (nodes + 1) / 2;
  const list = ({ serverMs, kilobytes }: ListCost) => `${serverMs.toFixed(1)}, ${kilobytes.toFixed(0)}`;
  const rows: readonly (readonly [string, string])[] = [
    ['a lease in etcd, bytes', filled.etcdBytes.toFixed(0)],
    [`${filled.leases} leases in etcd, MB`, ((filled.etcdBytes * filled.leases) / 1e6).toFixed(1)],
    [`${filled.leases} leases in the API server, MB`, filled.apiServer.toFixed(0)],
    ['one creation, CPU ms of API server and etcd', filled.createMs.toFixed(2)],
    ['creations a second, by one client, 32 at once', filled.perSecond.toFixed(0)],
    ['API server and etcd idle, CPU ms a second', idle.toFixed(1)],
    [`with the heartbeats of ${nodes} kubelets`, kubelets.toFixed(1)],
    [`and with ${nodes} agents`, agents.toFixed(1)],
    ['agents : kubelets', (own / (kubelets - idle)).toFixed(2)],
    ['one agent, CPU ms of API server and etcd a second', (own / nodes).toFixed(3)],
    ['one agent, goroutines of the API server', (load.goroutines / nodes).toFixed(1)],
    ['one agent, kB of their stacks', ((load.stackMb * 1000) / nodes).toFixed(0)],
    ['list of the names of a /24 (100), CPU ms of API server and etcd, kB', list(lists.small)],
    ['list of the names of a /19 (5,000)', list(lists.full)],
    ['a claim and its release, CPU ms of API server and etcd, nobody watching', churn.alone.toFixed(2)],
    [`the same, ${nodes} agents watching`, churn.watched.toFixed(2)],
    ['one change for one agent that watches, CPU µs', watchUs.toFixed(1)],
    ['an agent, MB (CPU ms a minute)', `${ordinary.memory.toFixed(0)} (${ordinary.perMinute.toFixed(0)})`],
    [
      'the reclaiming agent, MB (CPU ms a minute)',
      `${leader.memory.toFixed(0)} (${leader.perMinute.toFixed(0)})`,
    ],
  ];
  return table([`${filled.leases} leases, ${nodes} nodes`, ''], rows);
}
