// What leases and agents cost the API server and a node's memory: ten thousand leases, two hundred nodes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { createNode, createPod } from '../kit/control-plane/objects.ts';
import { leaseObject } from '../kit/lease-object.ts';
import type { AgentsOrder } from './agents-program.ts';
import { atMost, type BenchCluster, fillLeases, type Holder } from './kube-cluster.ts';
import { HELD, RANGES } from './kube-cost.ts';
import {
  cpuMs,
  etcdMetrics,
  metricOf,
  planeCpuMs,
  planeLoad,
  planeMemory,
  residentMb,
} from './server-usage.ts';
import { DIST } from './world.ts';

const NODES = Array.from({ length: 200 }, (_, index) => `node-${index}`);
/** These two run the built agent, each in a process of its own: the first one reclaims. */
const OWN = NODES.slice(0, 2);
const IN_ONE = NODES.slice(2);
const CHURN = 600;
const OVER_SECONDS = 20;
const LISTS = 20;

export interface Filled {
  readonly leases: number;
  /** CPU milliseconds of API server and etcd for one creation. */
  readonly createMs: number;
  readonly perSecond: number;
  /** Bytes of the file of etcd in use, for one lease. */
  readonly etcdBytes: number;
  /** Megabytes more than before. */
  readonly apiServer: number;
}

/** Pods of 200 nodes, eight interfaces each, and their ten thousand leases. */
export async function fillCluster(cluster: BenchCluster): Promise<Filled> {
  const { plane, client } = cluster;
  await atMost(8, NODES, (node) => createNode(plane, node));
  const parts = [
    { subnet: RANGES.wide, count: HELD.wide },
    { subnet: RANGES.full, count: HELD.full },
    { subnet: RANGES.small, count: HELD.small },
  ];
  const leases = parts.reduce((sum, { count }) => sum + count, 0);
  const holders: Holder[] = [];
  const names = Array.from({ length: Math.ceil(leases / 8) + parts.length }, (_, index) => `pod-${index}`);
  await atMost(8, names, async (name) => {
    const node = NODES[holders.length % NODES.length] ?? '';
    const holder = { name, node, uid: '' };
    const at = holders.push(holder) - 1;
    holders[at] = { ...holder, uid: await createPod(plane, { namespace: 'default', name, node }) };
  });
  const used = async () => metricOf(await etcdMetrics(plane), 'etcd_mvcc_db_total_size_in_use_in_bytes');
  const before = { etcd: await used(), cpu: planeCpuMs(plane), memory: planeMemory(plane).apiServer };
  const began = performance.now();
  let from = 0;
  for (const part of parts) {
    await fillLeases(client, part, holders.slice(from));
    from += Math.ceil(part.count / 8);
  }
  const seconds = (performance.now() - began) / 1000;
  return {
    leases,
    createMs: (planeCpuMs(plane) - before.cpu) / leases,
    perSecond: leases / seconds,
    etcdBytes: ((await used()) - before.etcd) / leases,
    apiServer: planeMemory(plane).apiServer - before.memory,
  };
}

export interface Load {
  /** CPU milliseconds of API server and etcd a second, by who is there. */
  readonly idle: number;
  readonly kubelets: number;
  readonly agents: number;
  readonly nodes: number;
  /** CPU milliseconds of API server and etcd for a claim and its release, by how many agents watch. */
  readonly churn: { readonly alone: number; readonly watched: number };
  /** Of the API server: what the agents' watches and connections hold. */
  readonly goroutines: number;
  readonly stackMb: number;
  /** CPU milliseconds of API server and etcd, and kilobytes, for a list of names. */
  readonly lists: { readonly small: ListCost; readonly full: ListCost };
  readonly ordinary: AgentCost;
  readonly leader: AgentCost;
}

export interface ListCost {
  readonly serverMs: number;
  readonly kilobytes: number;
}

export interface AgentCost {
  /** Megabytes that are resident, settled. */
  readonly memory: number;
  /** CPU milliseconds a minute, settled. */
  readonly perMinute: number;
}

/** @param cluster filled by fillCluster */
export async function measureLoad(cluster: BenchCluster): Promise<Load> {
  const { plane, kubeconfig } = cluster;
  const directory = mkdtempSync(join(tmpdir(), 'manifold-bench-agents-'));
  const children: ChildProcess[] = [];
  const launch = (argv: readonly string[]): ChildProcess => {
    const command = ['--pdeathsig', 'KILL', execPath, '--disable-warning=ExperimentalWarning', ...argv];
    const child = spawn('setpriv', command, { stdio: ['pipe', 'ignore', 'inherit'] });
    children.push(child);
    return child;
  };
  const agent = (node: string): ChildProcess =>
    launch([
      ...[join(DIST, 'js/manifold-agent.cjs'), '--kubeconfig', kubeconfig, '--node-name', node],
      ...['--state-dir', join(directory, node, 'state'), '--run-dir', join(directory, node, 'run')],
      ...['--log-level', 'error'],
    ]);
  try {
    const idle = await planeLoad(plane, OVER_SECONDS / 2);
    const alone = await churn(cluster);
    const lists = {
      small: await listNames(cluster, RANGES.small),
      full: await listNames(cluster, RANGES.full),
    };
    const order: AgentsOrder = { kubeconfig, nodes: NODES, withAgent: IN_ONE };
    const program = new URL('agents-program.ts', import.meta.url).pathname;
    const many = launch([program, JSON.stringify(order)]);
    await untilCount(cluster, 'kube-node-lease', NODES.length);
    const kubelets = await planeLoad(plane, OVER_SECONDS);
    const before = await goroutines(cluster);
    const leader = agent(OWN[0] ?? '');
    await sleep(3000);
    const ordinary = agent(OWN[1] ?? '');
    many.stdin?.write('\n');
    await untilWatched(cluster, NODES.length + 1);
    // The first look at everything is behind all of them.
    await sleep(10_000);
    const counted = [leader, ordinary].map(({ pid = 0 }) => ({
      pid,
      cpu: cpuMs(pid),
      at: performance.now(),
    }));
    const agents = await planeLoad(plane, OVER_SECONDS);
    const [led, other] = counted.map(({ pid, cpu, at }) => ({
      memory: residentMb(pid),
      perMinute: ((cpuMs(pid) - cpu) / (performance.now() - at)) * 60_000,
    }));
    if (led === undefined || other === undefined) throw new Error('Cannot measure the agents');
    const after = await goroutines(cluster);
    const watched = await churn(cluster);
    return {
      ...{ idle, kubelets, agents, nodes: NODES.length, churn: { alone, watched } },
      ...{ goroutines: after.count - before.count, stackMb: after.stackMb - before.stackMb, lists },
      ...{ ordinary: other, leader: led },
    };
  } finally {
    for (const child of children) {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Leases created and deleted, by a client that is running and warm. @returns what each pair costs the servers */
async function churn({ plane, client }: BenchCluster): Promise<number> {
  const leases = Array.from({ length: CHURN }, (_, index) =>
    leaseObject({
      ...{ address: `10.130.${Math.floor(index / 200)}.${(index % 200) + 1}`, subnet: '10.130.0.0/16' },
      node: 'node-none',
    }),
  );
  const before = planeCpuMs(plane);
  await atMost(8, leases, async (lease) => {
    await client.create<IpLease>(IP_LEASES, lease, { isOurs: () => true });
    await client.delete(IP_LEASES, lease.metadata.name);
  });
  // What is behind it is counted with it.
  await sleep(1000);
  return (planeCpuMs(plane) - before) / CHURN;
}

/** What a claim asks before it chooses among what is free. */
async function listNames({ plane, client }: BenchCluster, subnet: string): Promise<ListCost> {
  const before = planeCpuMs(plane);
  let bytes = 0;
  for (let time = 0; time < LISTS; time += 1) {
    const { items } = await client.list(IP_LEASES, {
      ...{ metadataOnly: true, resourceVersion: '0', fieldSelector: `spec.domain=,spec.subnet=${subnet}` },
    });
    bytes = JSON.stringify(items).length;
  }
  return { serverMs: (planeCpuMs(plane) - before) / LISTS, kilobytes: bytes / 1000 };
}

async function goroutines({ plane }: BenchCluster): Promise<{ count: number; stackMb: number }> {
  const { text } = await plane.request({ method: 'GET', path: '/metrics' });
  const stackMb = metricOf(text, 'go_memstats_stack_inuse_bytes') / 1e6;
  return { count: metricOf(text, 'go_goroutines'), stackMb };
}

async function untilCount({ plane }: BenchCluster, namespace: string, count: number): Promise<void> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  await until(`${count} kubelets`, async () => (await plane.api('GET', path)).items.length >= count);
}

async function untilWatched({ plane }: BenchCluster, count: number): Promise<void> {
  await until(`${count} watches`, async () => {
    const { text: metrics } = await plane.request({ method: 'GET', path: '/metrics' });
    const watches = metrics.split('\n').filter((line) => line.includes('resource="ipleases"'));
    return metricOf(watches.join('\n'), 'apiserver_longrunning_requests', 'verb="WATCH"') >= count;
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Cannot measure: there never were ${what}`);
    await sleep(500);
  }
}
