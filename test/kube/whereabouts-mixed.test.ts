// A cluster in the middle of its migration: the real Whereabouts on one node, ours under its name on the other, at once.
import { spawn } from 'node:child_process';
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { leasesOf, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { whereabouts } from '../kit/whereabouts.ts';
import {
  clearWhereabouts,
  installWhereabouts,
  theirPools,
  theirReservations,
} from '../kit/whereabouts-objects.ts';

let cluster: Cluster;
let admin: KubeClient;
let directory: string;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  await installWhereabouts(cluster);
  kubeconfig = cluster.kubeconfig();
  directory = mkdtempSync(join(tmpdir(), 'manifold-mixed-'));
  const executable = new URL('../../dist/bin/manifold', import.meta.url).pathname;
  for (const name of ['theirs', 'ours']) mkdirSync(join(directory, name));
  copyFileSync(await whereabouts(), join(directory, 'theirs/whereabouts'));
  // As it is installed: a hard link. Another file system than the build's takes a copy.
  try {
    linkSync(executable, join(directory, 'ours/whereabouts'));
  } catch {
    copyFileSync(executable, join(directory, 'ours/whereabouts'));
  }
  writeFileSync(
    join(directory, 'flat.conf'),
    JSON.stringify({ kubernetes: { kubeconfig }, log_level: 'error' }),
  );
}, 600_000);
afterAll(async () => {
  await clearWhereabouts(cluster);
  admin.close();
  rmSync(directory, { recursive: true, force: true });
});

type Side = 'theirs' | 'ours';

interface Pod {
  readonly side: Side;
  readonly name: string;
  readonly container: string;
  readonly range: string;
}

/** The same configuration for both, but that ours must keep its state somewhere. */
const confOf = ({ range }: Pod) => ({
  ...{ cniVersion: '1.0.0', name: 'rail0', type: 'macvlan' },
  ipam: {
    ...{
      type: 'whereabouts',
      range,
      configuration_path: join(directory, 'flat.conf'),
      datastore: 'kubernetes',
    },
    // Patience for a machine that also runs the API server.
    ...{ leader_lease_duration: 6000, leader_renew_deadline: 5000, leader_retry_period: 100 },
  },
  manifold: { stateDir: join(directory, 'state'), runDir: join(directory, 'run'), nodeName: 'ours' },
});

interface Outcome {
  readonly code: number | null;
  readonly answer: { readonly ips?: readonly { readonly address: string }[]; readonly msg?: string };
}

async function call(verb: 'ADD' | 'DEL', pod: Pod): Promise<Outcome> {
  const child = spawn(join(directory, pod.side, 'whereabouts'), {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...{ CNI_COMMAND: verb, CNI_CONTAINERID: pod.container, CNI_IFNAME: 'net1' },
      ...{ CNI_NETNS: '/run/netns/none', CNI_PATH: join(directory, pod.side) },
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod.name};K8S_POD_UID=uid-${pod.name}`,
    },
  });
  child.stdin.end(JSON.stringify(confOf(pod)));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const stdout = await text(child.stdout);
  return { code: await ended, answer: stdout === '' ? {} : JSON.parse(stdout) };
}

/** As a runtime does: a DEL after an ADD that failed, and the pod is tried again under a new container. */
async function attach(pod: Pod, tries = 8): Promise<{ readonly pod: Pod; readonly address: string }> {
  const { code, answer } = await call('ADD', pod);
  const [ip] = answer.ips ?? [];
  if (code === 0 && ip !== undefined) return { pod, address: ip.address.replace(/\/.*/, '') };
  await call('DEL', pod);
  if (tries === 0) throw new Error(`${pod.side} ${pod.name}: ${answer.msg}`);
  return attach({ ...pod, container: `${pod.container}x` }, tries - 1);
}

const podsOf = (side: Side, range: string, first: number, count: number): Pod[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ side, range, name: `${side}-${first + i}`, container: `c-${side}-${first + i}` },
  }));

const doubles = (addresses: readonly string[]): string[] =>
  addresses.filter((one, i) => addresses.indexOf(one) !== i);

test('sixty pods attached at once by both get sixty addresses', { timeout: 600_000 }, async () => {
  const pods = [...podsOf('theirs', '10.7.0.0/25', 0, 30), ...podsOf('ours', '10.7.0.0/25', 0, 30)];
  const attached = await Promise.all(pods.map((pod) => attach(pod)));
  expect(doubles(attached.map(({ address }) => address))).toEqual([]);
  const mine = attached.filter(({ pod }) => pod.side === 'ours').map(({ address }) => address);
  expect(
    (await leasesOf(admin))
      .filter((lease) => lease.includes(' Held '))
      .map((lease) => lease.split(' ')[0])
      .sort(),
  ).toEqual(mine.toSorted());
  const reserved = (await theirReservations(cluster)).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
  expect(reserved.length).toBeGreaterThanOrEqual(30);

  // Half of each goes while others come: what is freed on one side may be given on the other, once.
  const [going, staying] = [attached.filter((_, i) => i % 2 === 0), attached.filter((_, i) => i % 2 === 1)];
  const coming = [...podsOf('theirs', '10.7.0.0/25', 100, 10), ...podsOf('ours', '10.7.0.0/25', 100, 10)];
  const [more] = await Promise.all([
    Promise.all(coming.map((pod) => attach(pod))),
    Promise.all(going.map(({ pod }) => call('DEL', pod))),
  ]);
  const held = [...staying, ...more];
  expect(doubles(held.map(({ address }) => address))).toEqual([]);

  // In the end nothing of either side is left, but what rests.
  for (const { pod } of held) expect((await call('DEL', pod)).code).toBe(0);
  expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name)).toEqual([]);
  expect((await theirPools(cluster)).flatMap(({ spec }) => Object.values(spec.allocations))).toEqual([]);
  expect((await leasesOf(admin)).filter((lease) => !lease.includes(' Resting '))).toEqual([]);
});

test('the last addresses of a range are given once, whoever asks for them', {
  timeout: 600_000,
}, async () => {
  // 14 addresses for 16 pods: both sides come to the same ones.
  const pods = [...podsOf('theirs', '10.8.0.0/28', 200, 8), ...podsOf('ours', '10.8.0.0/28', 200, 8)];
  const settled = await Promise.allSettled(pods.map((pod) => attach(pod, 2)));
  const attached = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(doubles(attached.map(({ address }) => address))).toEqual([]);
  expect(attached.length).toBeGreaterThanOrEqual(12);
  for (const { pod } of attached) expect((await call('DEL', pod)).code).toBe(0);
  expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name)).toEqual([]);
});
