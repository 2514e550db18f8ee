// Nodes whose clocks are off by an hour: what stands in the cluster is right, and what rests rests as long as it should.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { IpLeaseSpec } from '../../ipam/ip-lease.ts';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import { readLeases } from '../kit/agent-node.ts';
import { bundle } from '../kit/bundle.ts';
import { type ClusterAnswer, callCluster, NodePlace, networkOn } from '../kit/cluster-call.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { NODE } from '../kit/test-node.ts';

const HOUR_MS = 3_600_000;
const SHIM = fileURLToPath(new URL('../kit/wrong-clock.mjs', import.meta.url));

let cluster: Cluster;
let command: readonly string[];
let node: NodePlace;
const directory = mkdtempSync(join(tmpdir(), 'manifold-clock-'));

beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  const program = bundle(
    fileURLToPath(new URL('../../meta/bin/manifold-ipam.ts', import.meta.url)),
    directory,
  );
  command = [...NODE, '--import', SHIM, program];
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  node = new NodePlace('clock-1');
});
afterEach(() => {
  expect(node.broken()).toEqual([]);
  node[Symbol.dispose]();
});

interface Wrong {
  readonly offMs: number;
  readonly at?: NodePlace;
}

function call(
  verb: Verb,
  pod: string,
  ipam: JsonObject,
  { offMs, at = node }: Wrong,
): Promise<ClusterAnswer> {
  return callCluster(command, {
    ...{ verb, container: `c-${pod}`, pod: { namespace: 'ns', name: pod, uid: `uid-${pod}` } },
    ...{ config: networkOn(at, cluster.kubeconfig(), ipam), env: { MANIFOLD_TEST_CLOCK_MS: String(offMs) } },
  });
}

const specOf = async (address: string): Promise<IpLeaseSpec | undefined> =>
  (await readLeases(cluster)).get(address)?.spec;

/** Now, or so many milliseconds later. */
function expectTime(text: string | undefined, laterMs = 0): void {
  expect(Math.abs(Date.parse(text ?? '') - Date.now() - laterMs)).toBeLessThan(60_000);
}

describe.each([HOUR_MS, -HOUR_MS])('with a clock that is off by %i ms', (offMs) => {
  const wrong = { offMs };
  const third = offMs > 0 ? 90 : 91;

  test('an address is acquired, released, kept and acquired again at the times of the API server', async () => {
    const ipam = { range: `10.${third}.0.0/24`, reuseDelay: '10m' };
    const [address = ''] = (await call('ADD', 'p-0', ipam, wrong)).addresses;
    expectTime((await specOf(address))?.acquired);
    expectTime((await specOf(address))?.renewed);
    expect((await call('DEL', 'p-0', ipam, wrong)).code).toBe(0);
    const rests = await specOf(address);
    expectTime(rests?.released);
    expectTime(rests?.until, 600_000);
    // Its owner has it back by one write, before which no answer has told the time.
    expect((await call('ADD', 'p-0', ipam, wrong)).addresses).toEqual([address]);
    const again = await specOf(address);
    expect(again?.phase).toBe('Held');
    expectTime(again?.acquired);
    expectTime(again?.renewed);
  });

  test('what rests by the word of its definition is given to nobody else before its time', async () => {
    const ipam = { range: `10.${third}.1.5-10.${third}.1.5/24`, reuseDelay: '10m' };
    const [address = ''] = (await call('ADD', 'p-1', ipam, { offMs: 0 })).addresses;
    expect((await call('DEL', 'p-1', ipam, { offMs: 0 })).code).toBe(0);
    using other = new NodePlace('clock-2');
    for (const at of [node, other]) {
      const { error } = await call('ADD', 'p-2', ipam, { offMs, at });
      expect(error?.code).toBe(11);
      expect(error?.msg).toContain('1 rests, the first until');
    }
    expect(await specOf(address)).toMatchObject({ phase: 'Resting', owner: { uid: 'uid-p-1' } });
  });

  test('what was released on a node with such a clock may be had when its time is over', async () => {
    const ipam = { range: `10.${third}.2.5-10.${third}.2.5/24`, reuseDelay: '1s' };
    const { addresses } = await call('ADD', 'p-3', ipam, wrong);
    expect((await call('DEL', 'p-3', ipam, wrong)).code).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    using other = new NodePlace('clock-2');
    expect((await call('ADD', 'p-4', ipam, { offMs: 0, at: other })).addresses).toEqual(addresses);
  });
});
