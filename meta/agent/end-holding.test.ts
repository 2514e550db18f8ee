import { expect, test } from 'vitest';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { KubeInMemory } from '../../test/kit/kube-in-memory.ts';
import { leaseObject } from '../../test/kit/lease-object.ts';
import { endSeen } from './end-holding.ts';
import { seenLease } from './seen-lease.ts';

test.each<[string, Partial<IpLease['spec']['owner']> | 'another node' | 'made anew']>([
  ['another pod', { uid: 'u2' }],
  ['another interface of the pod', { interface: 'net2' }],
  ['a newer sandbox of the pod', { containerID: 'c2' }],
  ['the same pod on another node', 'another node'],
  ['the same pod, in an object that was made anew', 'made anew'],
])('what was seen to be dead is left alone when by now it is held by %s', async (_, change) => {
  const cluster = new KubeInMemory();
  const client = cluster.client();
  const { metadata } = await client.create(IP_LEASES, leaseObject(), { isOurs: () => false });
  const key = `${IP_LEASES.plural}/${metadata.name}`;
  const seen = seenLease(cluster.objects.get(key) ?? { metadata });
  if (seen === undefined) throw new Error('The lease cannot be read');
  cluster.objects.clear();
  const { spec } = leaseObject();
  const now =
    change === 'another node'
      ? { node: 'n2' }
      : change === 'made anew'
        ? {}
        : { owner: { ...spec.owner, ...change } };
  await client.create(IP_LEASES, leaseObject(now), { isOurs: () => false });
  const made = cluster.objects.get(key);
  // As an update leaves it: its UID stays.
  if (change !== 'made anew' && made !== undefined)
    cluster.objects.set(key, { ...made, metadata: { ...made.metadata, uid: seen.uid } });
  const deps = {
    ...{ client, log: silentLogger, kernel: { openIfThere: () => undefined }, openStore: () => undefined },
    ...{ namespaces: () => [], monotonicMs: () => 0 },
  };
  expect(await endSeen(deps, seen, AbortSignal.timeout(5000))).toBe('changed');
  expect(cluster.objects.get(key)?.spec).toMatchObject({ phase: 'Held' });
});
