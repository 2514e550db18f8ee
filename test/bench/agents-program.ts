// A process in which many nodes live: the kubelet's heartbeat of each, and when told to, a real agent of each with the
// timings of production. Its nodes have no namespaces, and pods that live: the agents have nothing to end.
import { argv, stdin } from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgent } from '../../meta/agent/agent.ts';
import { DEFAULT_TIMINGS } from '../../meta/agent/agent-deps.ts';
import { COORDINATION_LEASES, microTime, newCoordinationLease } from '../../meta/agent/coordination.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import type { KubeAccess } from '../../pkg/kube/kube-access.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { createLogger } from '../../pkg/log/logger.ts';

export interface AgentsOrder {
  readonly kubeconfig: string;
  /** Each has a kubelet. */
  readonly nodes: readonly string[];
  /** Of these have an agent, when a line comes on standard input. */
  readonly withAgent: readonly string[];
}

const KUBELET_RENEWS_MS = 10_000;
const NAMESPACE = 'kube-node-lease';
/** Between the starts of two agents, as when a DaemonSet is rolled out. */
const START_GAP_MS = 40;

async function beAKubelet(access: KubeAccess, name: string): Promise<void> {
  const client = createKubeClient(access, { connections: 1 });
  await sleep(Math.random() * KUBELET_RENEWS_MS);
  const spec = (renewed: number) => ({
    holderIdentity: name,
    leaseDurationSeconds: 40,
    renewTime: microTime(renewed),
  });
  const lease = newCoordinationLease({ name, namespace: NAMESPACE }, spec(client.now()));
  let last = await client.create(COORDINATION_LEASES, lease, { namespace: NAMESPACE, isOurs: () => true });
  for (;;) {
    await sleep(KUBELET_RENEWS_MS);
    const next = { ...last, spec: spec(client.now()) };
    last = await client.replace(COORDINATION_LEASES, next, { namespace: NAMESPACE });
  }
}

async function main({ kubeconfig, nodes, withAgent }: AgentsOrder): Promise<void> {
  const access = await readKubeconfig(kubeconfig);
  const kubelets = nodes.map((node) => beAKubelet(access, node));
  const lines = createInterface({ input: stdin });
  const agents: Promise<void>[] = [];
  const startAgents = async (): Promise<void> => {
    const kernel = createKernel();
    for (const nodeName of withAgent) {
      const deps = {
        ...{ client: createKubeClient(access), kernel, openStore: () => undefined, namespaces: () => [] },
        log: createLogger({ level: 'warn', sink: (line) => console.error(line) }),
        monotonicMs: () => performance.now(),
      };
      const settings = {
        nodeName,
        namespace: 'kube-system',
        nodeSilenceMs: 300_000,
        timings: DEFAULT_TIMINGS,
      };
      agents.push(runAgent(deps, settings, new AbortController().signal));
      await sleep(START_GAP_MS);
    }
  };
  lines.once('line', () => void startAgents());
  await Promise.all(kubelets);
}

await main(JSON.parse(argv[2] ?? '') as AgentsOrder);
