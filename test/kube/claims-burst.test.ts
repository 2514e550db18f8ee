// Hundreds of processes that claim at once: nobody is given what another has, and nobody is refused while an address is
// free.
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { IpLease } from '../../ipam/ip-lease.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { readLeases } from '../kit/agent-node.ts';
import { burst, toldOf } from '../kit/claim-burst.ts';
import { BUILT_IPAM, type ClusterCall, NodePlace, networkOn } from '../kit/cluster-call.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { LEASES_PATH, leaseObject } from '../kit/lease-object.ts';

const NODES = 4;
const CLAIMERS = 256;
const ALL = Array.from({ length: CLAIMERS }, (_, index) => index);
/** Starting so many processes on two busy cores takes most of it. */
const PATIENCE_MS = 600_000;

let cluster: Cluster;
let kubeconfig: string;
let nodes: NodePlace[];

beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  // For the first lease the API server compiles its rules.
  await cluster.api('POST', LEASES_PATH, leaseObject());
  await cluster.api('DELETE', `${LEASES_PATH}/${leaseObject().metadata.name}`);
  kubeconfig = cluster.kubeconfig();
});
beforeEach(() => {
  nodes = Array.from({ length: NODES }, (_, index) => new NodePlace(`burst-${index}`));
});
afterEach(() => {
  const broken = nodes.flatMap((node) => node.broken());
  for (const node of nodes) node[Symbol.dispose]();
  expect(broken).toEqual([]);
});

const podOf = (index: number) => ({
  namespace: `team-${index % 3}`,
  name: `p-${index}`,
  uid: `uid-${index}`,
});
const nodeOf = (index: number): NodePlace => nodes[index % NODES] as NodePlace;

const claim = (index: number, ipam: JsonObject, network = 'rail0'): ClusterCall => ({
  ...{ verb: 'ADD', container: `c-${index}`, pod: podOf(index) },
  config: networkOn(nodeOf(index), kubeconfig, ipam, network),
});

/** The cluster and the nodes have what the claimers were told, and nothing else. */
async function expectAsTold(told: ReadonlyMap<string, number>): Promise<void> {
  const leases = [...(await readLeases(cluster)).values()].filter(({ spec }) =>
    spec.node.startsWith('burst-'),
  );
  const words = ({ spec: { address, phase, owner, node } }: IpLease) =>
    `${address} ${phase} ${owner.uid} ${owner.containerID} ${node}`;
  const held = leases.filter(({ spec }) => spec.phase === 'Held');
  const expected = [...told].map(
    ([address, index]) => `${address} Held uid-${index} c-${index} ${nodeOf(index).name}`,
  );
  expect(held.map(words).sort()).toEqual(expected.sort());
  const rows = nodes.flatMap((node) =>
    node.rows().map(({ address, state, owner }) => `${address} ${state} ${owner} ${node.name}`),
  );
  expect(rows.sort()).toEqual(
    [...told].map(([address, index]) => `${address} held uid-${index} ${nodeOf(index).name}`).sort(),
  );
  for (const { metadata } of leases) await cluster.api('DELETE', `${LEASES_PATH}/${metadata.name}`);
}

test(
  '256 processes claim at once from a /24 with 250 free addresses: 250 have one each, 6 are told who has them',
  async () => {
    const ipam = { range: '10.61.0.0/24', exclude: ['10.61.0.77', '10.61.0.200'] };
    for (const address of ['10.61.0.3', '10.61.0.140'])
      await cluster.api(
        'POST',
        LEASES_PATH,
        leaseObject({
          ...{ address, subnet: '10.61.0.0/24', node: 'elsewhere' },
          owner: { podNamespace: 'before', podName: 'b', uid: 'b', interface: 'net1', containerID: 'b' },
        }),
      );
    const answers = await burst(
      BUILT_IPAM,
      ALL.map((index) => claim(index, ipam)),
    );
    const told = toldOf(answers);
    const refused = answers.flatMap(({ error }) => error ?? []);
    expect(refused.filter(({ msg }) => !msg.includes('no address of network rail0 is free'))).toEqual([]);
    expect(told.size).toBe(250);
    expect(refused).toHaveLength(6);
    for (const { code, msg, details } of refused) {
      expect(code).toBe(11);
      expect(msg).toContain(
        'all 252 of 10.61.0.1-10.61.0.76, 10.61.0.78-10.61.0.199, 10.61.0.201-10.61.0.254',
      );
      expect(msg).toMatch(/\((team-[012] [78]\d, ){3}before 2; by node: (burst-[0-3] [56]\d, ){4}others 2\)/);
      expect(details).toContain('widen the range');
    }
    await expectAsTold(told);
  },
  PATIENCE_MS,
);

test(
  '256 processes claim at once from a /24 and from a /23 that share 50 of 250 addresses: none is given twice',
  async () => {
    const definitions = [
      { name: 'small', range: '10.62.0.1-10.62.0.170/24' },
      { name: 'large', range: '10.62.0.121-10.62.0.250/23' },
    ] as const;
    const of = (index: number) => definitions[index % 2] ?? definitions[0];
    const answers = await burst(
      BUILT_IPAM,
      ALL.map((index) => claim(index, { range: of(index).range }, of(index).name)),
    );
    const told = toldOf(answers);
    const last = new Set([...told.keys()].map((address) => Number(address.split('.')[3])));
    for (const [index, { error }] of answers.entries()) {
      if (error === undefined) continue;
      const [from = 0, to = 0] = index % 2 === 0 ? [1, 170] : [121, 250];
      expect(error.msg).toContain(`no address of network ${of(index).name} is free, all ${to - from + 1} of`);
      // By both networks, whichever asks.
      expect(error.msg).toMatch(/team-[012] on (small|large) \d/);
      for (let value = from; value <= to; value++) expect(last).toContain(value);
    }
    expect(told.size).toBeLessThanOrEqual(250);
    expect(told.size).toBeGreaterThanOrEqual(200);
    await expectAsTold(told);
  },
  PATIENCE_MS,
);
