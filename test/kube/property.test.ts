// Random sequences of ADD, DEL, late DEL, deaths, boots, outages, lost nodes and reclaim, over three nodes and ranges that
// are too small, against a model of who has been told what.
import { env } from 'node:process';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { IP_LEASES } from '../../ipam/ip-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { readAll, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { LeaseModel } from '../kit/lease-model.ts';
import { type Step, step } from '../kit/lease-steps.ts';
import { ModelNode } from '../kit/model-node.ts';

/** Longer for whoever looks for more. */
const LONGEST_MS = Number(env.MANIFOLD_TEST_PROPERTY_MS ?? 30_000);

let cluster: Cluster;
let admin: KubeClient;
let proxy: FaultProxy;
let namespace: string;
let nodes: ModelNode[];

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  proxy = await FaultProxy.start(cluster);
  namespace = await createNamespace(cluster);
});
afterAll(async () => {
  admin.close();
  await proxy.close();
});
beforeEach(() => {
  nodes = ['m0', 'm1', 'm2'].map((name) => new ModelNode(proxy.kubeconfig(), name));
});
afterEach(() => {
  for (const one of nodes) one[Symbol.dispose]();
});

async function runSteps(steps: readonly Step[], withDel: boolean): Promise<void> {
  const model = new LeaseModel({ cluster, admin, proxy, namespace, nodes });
  try {
    for (const one of steps) await model.run(one);
  } finally {
    await model.end(withDel);
  }
  expect(await model.whatIsLeft()).toEqual([]);
}

/** Nothing of one sequence is there in the next. */
async function empty(): Promise<void> {
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
  for (const { store } of nodes) for (const row of store.clusterLeases.all()) store.clusterLeases.remove(row);
}

test(
  'whatever comes, dies, fails and is lost: no address has two owners, no living one loses its own, and all are freed in the end',
  async () => {
    await fc.assert(
      fc
        .asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), fc.boolean(), runSteps)
        .beforeEach(empty),
      { numRuns: LONGEST_MS, interruptAfterTimeLimit: LONGEST_MS, markInterruptAsFailure: false },
    );
  },
  10 * LONGEST_MS,
);
