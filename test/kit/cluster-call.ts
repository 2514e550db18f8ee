// manifold-ipam as a process over the leases of a cluster: many at once, on nodes that are no more than a name and a
// store, killed where a test says so.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isErrno } from '../../pkg/cni/errno.ts';
import type { CniError } from '../../pkg/cni/error-codes.ts';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import type { ClusterLeaseRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore, storeIsThere } from '../../pkg/state/open-node-store.ts';

/** The executable that `make build` makes. */
export const BUILT_IPAM: readonly string[] = [
  fileURLToPath(new URL('../../dist/bin/manifold-ipam', import.meta.url)),
];

/** What a node is to the plugin: a name and a store. */
export interface Place {
  readonly name: string;
  readonly stateDir: string;
  readonly runDir: string;
}

/** The network configuration as that node's runtime passes it. */
export const networkOn = (
  { name: nodeName, stateDir, runDir }: Place,
  kubeconfig: string,
  ipam: JsonObject,
  name = 'rail0',
): JsonObject => ({
  ...{ cniVersion: '1.1.0', name, type: 'macvlan', ipam: { type: 'manifold-ipam', ...ipam } },
  manifold: { stateDir, runDir, kubeconfig, nodeName },
});

/** A node that is no more than that. */
export class NodePlace implements Place, Disposable {
  readonly name: string;
  readonly directory = mkdtempSync(join(tmpdir(), 'manifold-place-'));
  readonly stateDir = join(this.directory, 'state');
  readonly runDir = join(this.directory, 'run');

  constructor(name: string) {
    this.name = name;
  }

  read<T>(work: (store: NodeStore) => T): T {
    const store = openNodeStore(this.stateDir, { runDirectory: this.runDir });
    try {
      return work(store);
    } finally {
      store.close();
    }
  }

  /** Rows that stand for a lease: what rests is only remembered. */
  rows(): ClusterLeaseRecord[] {
    if (!storeIsThere(this.stateDir)) return [];
    return this.read((store) => store.clusterLeases.all().filter(({ state }) => state !== 'resting'));
  }

  /** @returns what may never be */
  broken(): string[] {
    return storeIsThere(this.stateDir) ? this.read((store) => checkState(store, this.runDir).broken) : [];
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface ClusterCall {
  readonly verb: Verb;
  readonly container: string;
  /** By default none is named, as a runtime outside Kubernetes does. */
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid: string };
  /** @default a path where there is none */
  readonly netns?: string;
  readonly config: JsonObject;
  readonly env?: Readonly<Record<string, string>>;
  /** The process stands ready, and is given its input when this gate is opened. */
  readonly gate?: Gate;
  /** SIGKILL when this is settled. */
  readonly killed?: Promise<unknown>;
}

/** Lets processes begin at once that took their time to start. */
export class Gate {
  readonly opened = Promise.withResolvers<void>();
  readonly #waiting: Promise<void>[] = [];

  add(pid: number): void {
    this.#waiting.push(untilReading(pid));
  }

  /** When all that were added wait for their input. */
  async open(): Promise<void> {
    await Promise.all(this.#waiting);
    this.opened.resolve();
  }
}

/** read(2) is number 0 on x64 and 63 on arm64 (proc(5), /proc/pid/syscall). */
const READING = /^(0|63) 0x0 /;

async function untilReading(pid: number): Promise<void> {
  for (;;) {
    const call = readWhole(`/proc/${pid}/syscall`);
    // One that has ended is told of by its answer.
    if (call === undefined || READING.test(call)) return;
    await sleep(100);
  }
}

function readWhole(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // ESRCH when it ends while being read.
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

export interface ClusterAnswer {
  /** Null: killed. */
  readonly code: number | null;
  /** Without prefix length. */
  readonly addresses: readonly string[];
  readonly error: CniError | undefined;
  readonly stderr: string;
  /** Since it was given its input. */
  readonly ms: number;
}

export async function callCluster(command: readonly string[], call: ClusterCall): Promise<ClusterAnswer> {
  const { verb, container, pod, netns = `/run/netns/none-${container}`, config, env, gate } = call;
  const [file = '', ...argv] = command;
  const args = pod && `K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`;
  const child = spawn(file, argv, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...{ CNI_COMMAND: verb, CNI_CONTAINERID: container, CNI_IFNAME: 'net1', CNI_NETNS: netns },
      ...{ CNI_PATH: '/nowhere', ...(args && { CNI_ARGS: args }), ...env },
    },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  const closed = once(child, 'close');
  gate?.add(child.pid ?? 0);
  await gate?.opened.promise;
  const began = performance.now();
  child.stdin.on('error', () => undefined); // killed before it read
  child.stdin.end(JSON.stringify(config));
  void call.killed?.then(() => child.kill('SIGKILL'));
  await closed;
  const answer: Partial<CniError> & { ips?: { address: string }[] } = stdout === '' ? {} : JSON.parse(stdout);
  const { code, msg, details } = answer;
  return {
    code: child.exitCode,
    addresses: (answer.ips ?? []).map(({ address }) => address.replace(/\/.*/, '')),
    error: code === undefined ? undefined : { code, msg: msg ?? '', ...(details && { details }) },
    stderr,
    ms: performance.now() - began,
  };
}
