// `manifold migrate whereabouts` against a real API server: what is made of what Whereabouts has left, killed in the
// middle, finished, and back again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { createReservations } from '../../ipam/whereabouts/reservations.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { runCommand } from '../kit/cli.ts';
import { ClusterNode, leasesOf, readAll, withLeases } from '../kit/cluster-node.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createNode, createPod, deletePod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import { whereabouts } from '../kit/whereabouts.ts';
import {
  clearWhereabouts,
  createTheirPool,
  createTheirReservation,
  createTheirSlices,
  installWhereabouts,
  removeWhereabouts,
  theirPools,
  theirReservations,
} from '../kit/whereabouts-objects.ts';

let cluster: Cluster;
let admin: KubeClient;
let kubeconfig: string;
let namespace: string;
let directory: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  admin = await withLeases(cluster);
  kubeconfig = cluster.kubeconfig();
  namespace = await createNamespace(cluster);
  await createNode(cluster, 'n1');
  directory = mkdtempSync(join(tmpdir(), 'manifold-migrate-'));
  await installWhereabouts(cluster);
});
afterAll(async () => {
  await clearWhereabouts(cluster);
  admin.close();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await clearWhereabouts(cluster);
  for (const { metadata } of await readAll(admin)) await admin.delete(IP_LEASES, metadata.name);
});

const migrate = (...argv: string[]) =>
  runCommand(['migrate', 'whereabouts', ...argv, '--kubeconfig', kubeconfig]);

const annotationsOf = (...ips: string[]) => ({
  'k8s.v1.cni.cncf.io/network-status': JSON.stringify([
    { name: `${namespace}/rail0`, interface: 'net1', ips },
  ]),
});

let pods = 0;
async function livePod(
  ...ips: string[]
): Promise<{ readonly podref: string; readonly uid: string; readonly name: string }> {
  const name = `live-${pods++}`;
  const uid = await createPod(cluster, { namespace, name, node: 'n1', annotations: annotationsOf(...ips) });
  return { podref: `${namespace}/${name}`, uid, name };
}

/** What Whereabouts must find as it left it. */
const theirs = async () => ({
  pools: await theirPools(cluster),
  reservations: await theirReservations(cluster),
});

describe('a cluster with pools, slices, reservations and old data', () => {
  let live: Awaited<ReturnType<typeof livePod>>;
  beforeEach(async () => {
    live = await livePod('10.0.0.5', 'fd00::5');
    await createTheirPool(cluster, '10.0.0.0-24', '10.0.0.0/24', {
      5: { id: 'c1', podref: live.podref, ifname: 'net1' },
      6: { id: 'c2', podref: `${namespace}/gone`, ifname: 'net1' },
    });
    await createTheirPool(cluster, 'fd00---64', 'fd00::/64', { 5: { id: 'c1', podref: live.podref } });
    await createTheirPool(
      cluster,
      'blue-n1-10.9.0.64-26',
      '10.9.0.64/26',
      {
        1: { id: 'c1', podref: live.podref, ifname: 'net2' },
      },
      namespace,
    );
    const range = { range: '10.9.0.0/16', sliceSize: '/26' };
    await createTheirSlices(
      cluster,
      'blue',
      range,
      [{ nodeName: 'n1', sliceRange: '10.9.0.64/26' }],
      namespace,
    );
    for (const name of ['10.0.0.5', '10.0.0.6', 'fd00--5', '10.0.0.99'])
      await createTheirReservation(cluster, name, { podref: live.podref, ifname: 'net1' });
  });

  test('is only looked at without --apply', async () => {
    const { exitCode, stdout } = await migrate();
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Whereabouts has given 5 addresses: ');
    expect(stdout).toContain('Leases: 0 are right already, 5 to be made, 0 to be changed, 0 to be ended.');
    expect(stdout).toContain('no pool entry (1): a reservation that no pool knows: migrated like the others');
    expect(stdout).toContain('Nothing was changed: --apply does it.');
    expect(await leasesOf(admin)).toEqual([]);
  });

  test('is seen by `manifold leases why`', async () => {
    const { stdout } = await runCommand(['leases', 'why', '10.0.0.6', '--kubeconfig', kubeconfig]);
    expect(stdout).toContain('10.0.0.6 has no lease.');
    expect(stdout).toContain(`Whereabouts has given it to ${namespace}/gone (pool kube-system/10.0.0.0-24).`);
  });

  test('becomes leases, Whereabouts’ own objects stay as they were, and a second run has nothing to do', async () => {
    const before = await theirs();
    const { exitCode, stdout } = await migrate('--apply');
    expect({ exitCode, stdout }).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('Checked: each of the 5 addresses has its lease'),
    });
    expect(await leasesOf(admin)).toEqual([
      '10.0.0.5 Held c1 n1',
      '10.0.0.6 Resting c2 unknown',
      '10.0.0.99 Resting unknown unknown',
      '10.9.0.65 Resting c1 n1',
      'fd00::5 Held c1 n1',
    ]);
    const held = await admin.get<IpLease>(IP_LEASES, '10.0.0.5');
    expect(held.spec).toMatchObject({
      network: 'rail0',
      subnet: '10.0.0.0/24',
      owner: { uid: live.uid, interface: 'net1' },
    });
    const rested = await admin.get<IpLease>(IP_LEASES, '10.0.0.6');
    const hours = (Date.parse(rested.spec.until ?? '') - Date.parse(rested.spec.released ?? '')) / 3_600_000;
    expect(hours).toBe(24);
    expect(await theirs()).toEqual(before);
    expect((await migrate('--apply')).stdout).toContain('Leases: 5 are right already, 0 to be made');
  });

  test('is followed by later runs: pods that go, and new ones under their name', async () => {
    await migrate('--apply');
    await deletePod(cluster, namespace, live.name);
    const uid = await createPod(cluster, {
      namespace,
      name: live.name,
      node: 'n1',
      annotations: annotationsOf('10.0.0.5'),
    });
    const { exitCode } = await migrate('--apply', '--keep', '2h');
    expect(exitCode).toBe(0);
    expect((await admin.get<IpLease>(IP_LEASES, '10.0.0.5')).spec).toMatchObject({
      phase: 'Held',
      owner: { uid },
    });
    // Not an address of the new pod: kept from everybody, under the owner that it had.
    expect((await admin.get<IpLease>(IP_LEASES, 'fd00--5')).spec.owner.uid).toBe(live.uid);
  });

  test('keeps others from what it gave: a claim passes over all of it', async () => {
    await migrate('--apply');
    const node = new ClusterNode(kubeconfig, 'n1');
    const range = { range: '10.0.0.0/24', range_start: '10.0.0.5', range_end: '10.0.0.7' };
    expect(await node.give(range)).toEqual(['10.0.0.7']);
    await expect(node.give(range, { container: 'c9' })).rejects.toThrow(
      /of 3 of 10\.0\.0\.5-10\.0\.0\.7 2 are held/,
    );
    expect(node.close()).toEqual([]);
  });
});

test('an address that a pod of Manifold and one of Whereabouts hold is told, and nothing is done about it', async () => {
  const node = new ClusterNode(kubeconfig, 'n2');
  const [address = ''] = await node.give({ range: '10.0.0.0/24' }, { uid: 'u-ours' });
  const live = await livePod(address);
  await createTheirPool(cluster, '10.0.0.0-24', '10.0.0.0/24', {
    1: { id: 'c', podref: live.podref, ifname: 'net1' },
  });
  const { exitCode, stdout } = await migrate('--apply');
  expect(exitCode).toBe(1);
  expect(stdout).toContain('double (1): an address has two holders');
  expect(stdout).toContain(
    `10.0.0.1 is held by ns/u-ours on node n2 (lease 10.0.0.1), and given by Whereabouts to ${live.podref}`,
  );
  expect((await admin.get<IpLease>(IP_LEASES, '10.0.0.1')).spec.owner.uid).toBe('u-ours');
  expect((await migrate('--finish')).exitCode).toBe(1);
  node.close();
});

test('killed in the middle it is taken up by the next run, and two do not run at once', {
  timeout: 240_000,
}, async () => {
  const allocations = Object.fromEntries(
    Array.from({ length: 1500 }, (_, i) => [
      i + 1,
      { id: `c${i}`, podref: `${namespace}/p${i}`, ifname: 'net1' },
    ]),
  );
  await createTheirPool(cluster, '10.0.0.0-16', '10.0.0.0/16', allocations);
  const program = new URL('../../meta/bin/manifold.ts', import.meta.url).pathname;
  const argv = [
    '--disable-warning=ExperimentalWarning',
    program,
    'migrate',
    'whereabouts',
    '--apply',
    '--kubeconfig',
    kubeconfig,
  ];
  const child = spawn(process.execPath, argv, { stdio: 'ignore' });
  while ((await readAll(admin)).length < 200) await sleep(20);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const left = (await readAll(admin)).length;
  expect(left).toBeLessThan(1500);
  const [one, other] = await Promise.all([migrate('--apply'), migrate('--apply')]);
  for (const { stdout } of [one, other]) expect(stdout).toContain('Another command holds the lock');
  const ended = [one, other].filter(({ exitCode }) => exitCode === 0);
  expect(ended.length).toBeGreaterThanOrEqual(1);
  expect(ended[0]?.stdout).toContain('Checked: each of the 1500 addresses has its lease');
  expect(await readAll(admin)).toHaveLength(1500);
  const locks = await cluster.request({
    method: 'GET',
    path: '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/manifold-migrate',
  });
  expect(locks.status).toBe(404);
});

describe('the end of the migration', () => {
  async function claimBeside(): Promise<ClusterNode> {
    const client = openKubeClient(kubeconfig, { timeoutMs: 2500 });
    const reservations = createReservations({ client, namespace: async () => 'kube-system' });
    const node = new ClusterNode(kubeconfig, 'n1', { client, reservations });
    await node.give({ range: '10.0.0.0/24' }, { uid: 'u1', namespace: 'shop' });
    return node;
  }

  test('--finish says what is left to do, and removes our reservations when told', async () => {
    const live = await livePod('10.0.0.5');
    await createTheirPool(cluster, '10.0.0.0-24', '10.0.0.0/24', {
      5: { id: 'c1', podref: live.podref, ifname: 'net1' },
    });
    await createTheirReservation(cluster, '10.0.0.5', { podref: live.podref, ifname: 'net1' });
    const node = await claimBeside();
    const early = await migrate('--finish');
    expect(early).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('manifold migrate whereabouts --apply comes first'),
    });
    await migrate('--apply');
    const said = await migrate('--finish');
    expect(said.exitCode).toBe(0);
    expect(said.stdout).toContain('"manifold": {"whereabouts": "closed"}');
    expect(await theirReservations(cluster)).toHaveLength(2);
    expect((await migrate('--finish', '--apply')).stdout).toBe('1 reservations removed.\n');
    expect((await theirReservations(cluster)).map(({ metadata }) => metadata.name)).toEqual(['10.0.0.5']);
    expect(node.close()).toEqual([]);
  });

  test('--back gives all that we hold to Whereabouts, whose own DEL then frees it', {
    timeout: 240_000,
  }, async () => {
    const node = await claimBeside();
    const looked = await migrate('--back');
    expect(looked.stdout).toContain('1 addresses that Manifold has given are in no pool of Whereabouts');
    expect(await theirPools(cluster)).toEqual([]);
    const gone = await migrate('--back', '--apply');
    expect(gone).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('1 addresses written into the pools, 1 reservations handed over.'),
    });
    const [pool] = await theirPools(cluster);
    expect(pool).toMatchObject({
      metadata: { name: '10.0.0.0-24', namespace: 'kube-system' },
      spec: { range: '10.0.0.0/24', allocations: { 254: { id: 'c1', podref: 'shop/u1', ifname: 'net1' } } },
    });
    const [reservation] = await theirReservations(cluster);
    expect(reservation?.metadata.finalizers).toBeUndefined();
    expect((await migrate('--back', '--apply')).stdout).toContain('0 addresses written');
    const flat = join(directory, 'flat.conf');
    writeFileSync(flat, JSON.stringify({ kubernetes: { kubeconfig } }));
    const config = {
      ...{ cniVersion: '1.0.0', name: 'rail0', type: 'macvlan' },
      ipam: { type: 'whereabouts', range: '10.0.0.0/24', configuration_path: flat },
    };
    const env = {
      ...{
        CNI_COMMAND: 'DEL',
        CNI_CONTAINERID: 'c1',
        CNI_IFNAME: 'net1',
        CNI_NETNS: '/none',
        CNI_PATH: '/none',
      },
      CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=u1',
    };
    const child = spawn(await whereabouts(), { env, stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.end(JSON.stringify(config));
    await once(child, 'exit');
    expect(Object.keys((await theirPools(cluster))[0]?.spec.allocations ?? {})).toEqual([]);
    expect(await theirReservations(cluster)).toEqual([]);
    expect(node.close()).toEqual([]);
  });
});

test('a cluster without Whereabouts, or without leases to migrate to, is told', async () => {
  await removeWhereabouts(cluster);
  const { exitCode, stderr } = await migrate();
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Cannot find anything of Whereabouts');
});

test.each([
  [['--keep', 'soon'], '--keep needs a time'],
  [['--finish', '--back'], 'exclude each other'],
  [['--keep'], 'Not enough arguments'],
])('%j is not understood', async (argv, message) => {
  expect(await migrate(...argv)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(message) });
});
