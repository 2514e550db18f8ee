// A token that ended, before a call and while one is under way.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { expiredToken } from '../kit/control-plane/expired-token.ts';
import { createServiceAccount, serviceAccountToken } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { expectHelpful, FaultWorld, IpamBundle, RANGES } from '../kit/fault-world.ts';

let cluster: Cluster;
let program: IpamBundle;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml', 'rbac.yaml']);
  program = new IpamBundle();
});
afterAll(() => program[Symbol.dispose]());

describe.concurrent('a token', () => {
  async function tokenOfPlugin(): Promise<string> {
    return serviceAccountToken(cluster, { namespace: 'default', serviceAccount: await account() });
  }
  let made: Promise<string> | undefined;
  function account(): Promise<string> {
    made ??= (async () => {
      await createServiceAccount(cluster, 'default', 'plugin-of-faults');
      await cluster.api('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
        metadata: { name: 'plugin-of-faults' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'manifold-plugin' },
        subjects: [{ kind: 'ServiceAccount', name: 'plugin-of-faults', namespace: 'default' }],
      });
      return 'plugin-of-faults';
    })();
    return made;
  }

  test('that has ended is named with its file, and never shown', async () => {
    const token = expiredToken(cluster, await tokenOfPlugin());
    const tokenFile = cluster.tokenFile(token);
    await using world = await FaultWorld.make(cluster, program.command, { tokenFile });
    const answer = await world.call('ADD', 'p', RANGES.spread());
    expectHelpful(answer, 11);
    expect(answer.error?.details).toContain(tokenFile);
    expect(JSON.stringify(answer)).not.toContain(token);
    expect(await world.left()).toEqual([]);
  });

  test('that ended while the pod ran stops neither its DEL nor a new sandbox, and what is left is ended when it is renewed', async () => {
    const token = await tokenOfPlugin();
    const tokenFile = cluster.tokenFile(token);
    await using world = await FaultWorld.make(cluster, program.command, { tokenFile });
    const ipam = RANGES.spread();
    const addresses = await world.good('ADD', 'p', ipam);
    writeFileSync(tokenFile, expiredToken(cluster, token));
    expect(await world.good('ADD', 'p', ipam, 'b')).toEqual(addresses);
    await world.good('DEL', 'p', ipam, 'b');
    expect(await world.held()).toHaveLength(1);
    writeFileSync(tokenFile, token);
    await world.good('ADD', 'q', ipam);
    await world.good('DEL', 'q', ipam);
    expect(await world.left()).toEqual([]);
  });

  test('that is renewed in its file while a call is under way is read anew', async () => {
    const token = await tokenOfPlugin();
    const tokenFile = cluster.tokenFile(expiredToken(cluster, token));
    await using world = await FaultWorld.make(cluster, program.command, { tokenFile });
    const ipam = RANGES.spread();
    world.proxy.inject({ times: 1, fault: { kind: 'delay', beforeMs: 1000 } });
    const adding = world.call('ADD', 'p', ipam);
    while (world.proxy.requests.length === 0) await sleep(20);
    writeFileSync(tokenFile, token);
    expect(await adding).toMatchObject({ code: 0, error: undefined });
    await world.good('DEL', 'p', ipam);
    expect(await world.left()).toEqual([]);
  });
});
