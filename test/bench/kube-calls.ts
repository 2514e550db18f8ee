// How many requests a call makes to the API server, and how much it is answered: told by a proxy between the two.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import type { Command } from './child.ts';
import type { BenchCluster } from './kube-cluster.ts';
import type { Asked, KubeCommands, KubePlace } from './kube-commands.ts';
import { RANGES } from './kube-cost.ts';
import { median } from './timings.ts';

/** Of one call, medians. */
export interface Calls {
  readonly requests: number;
  /** Of all answers. */
  readonly kilobytes: number;
}

export interface CallsRow {
  readonly name: string;
  readonly add: Calls;
  readonly del: Calls | undefined;
}

const TIMES = 3;
let pods = 0;

export interface CallsCluster {
  readonly cluster: BenchCluster;
  readonly place: KubePlace;
}

/** @param many the cluster with many leases */
export async function countCalls(
  commands: KubeCommands,
  { few, many }: { readonly few: CallsCluster; readonly many: CallsCluster },
): Promise<CallsRow[]> {
  const ofFew = await counter(few);
  const ofMany = await counter(many);
  try {
    const asked = (range: string, pod: string, place = ofFew.place): Asked => ({ place, range, pod });
    const rows: CallsRow[] = [];
    const addRow = async (
      name: string,
      count: typeof ofFew.count,
      command: (verb: string, pod: string, time: number) => Command,
      onePod = false,
    ) => {
      const [adds, dels]: [Calls[], Calls[]] = [[], []];
      const own = `calls-${pods++}`;
      if (onePod) await count(command('ADD', own, 0));
      for (let time = 1; time <= TIMES; time += 1) {
        const pod = onePod ? own : `calls-${pods++}`;
        adds.push(await count(command('ADD', pod, time)));
        if (!onePod) dels.push(await count(command('DEL', pod, time)));
      }
      rows.push({ name, add: medianCalls(adds), del: onePod ? undefined : medianCalls(dels) });
    };
    const { wide, small, full, theirs, theirFull } = RANGES;
    const ours =
      (range: string, place = ofFew.place) =>
      (verb: string, pod: string) =>
        commands.ipam('manifold', verb, asked(range, pod, place));
    const other =
      (range: string, place = ofFew.place) =>
      (verb: string, pod: string) =>
        commands.ipam('whereabouts', verb, asked(range, pod, place));
    await addRow('a /16 (spread)', ofFew.count, ours(wide));
    await addRow('a /24 (lowest)', ofFew.count, ours(small));
    await addRow('the same container again', ofFew.count, ours(wide), true);
    const nextSandbox = (verb: string, pod: string, time: number) =>
      commands.ipam('manifold', verb, { ...asked(wide, pod), container: `${pod}-${time}` });
    await addRow('a new container of the same pod', ofFew.count, nextSandbox, true);
    const eight = (verb: string, pod: string) => commands.meta(verb, 8, asked(wide, pod));
    await addRow('manifold, default + 8', ofFew.count, eight);
    await addRow('whereabouts', ofFew.count, other(theirs));
    await addRow('a /16 with 4,900', ofMany.count, ours(wide, ofMany.place));
    await addRow('a /24 with 100', ofMany.count, ours(small, ofMany.place));
    await addRow('a /19 with 5,000', ofMany.count, ours(full, ofMany.place));
    await addRow('whereabouts, a pool with 5,000', ofMany.count, other(theirFull, ofMany.place));
    return rows;
  } finally {
    await ofFew.proxy.close();
    await ofMany.proxy.close();
  }
}

async function counter({ cluster, place }: CallsCluster) {
  const proxy = await FaultProxy.start(cluster.plane);
  const count = async (command: Command): Promise<Calls> => {
    await proxy.clear();
    await runBeside(command);
    const bytes = proxy.requests.reduce((sum, request) => sum + request.bytes, 0);
    return { requests: proxy.requests.length, kilobytes: bytes / 1000 };
  };
  const kubeconfig = proxy.kubeconfig({ token: cluster.plane.adminToken });
  return { proxy, count, place: { ...place, kubeconfig } };
}

/** While this process serves the proxy. @throws Error with what it printed, unless it ended with 0 */
async function runBeside({ words, env, stdin }: Command): Promise<void> {
  const [file = '', ...argv] = words;
  const child = spawn(file, argv, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  child.stdin.end(stdin);
  const said = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  if (child.exitCode !== 0) throw new Error(`${file} (${env.CNI_COMMAND}): ${said.join(' ')}`);
}

const medianCalls = (calls: readonly Calls[]): Calls => ({
  requests: median(calls.map(({ requests }) => requests)),
  kilobytes: median(calls.map(({ kilobytes }) => kilobytes)),
});
