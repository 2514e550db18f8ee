// `manifold leases` against a real API server: what a person sees, and what release does and refuses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type IpLease, type IpLeaseSpec, newIpLease } from '../../ipam/ip-lease.ts';
import { leaseName } from '../../ipam/lease-name.ts';
import { parseAddress } from '../../pkg/ip/address.ts';
import { runCommand } from '../kit/cli.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { createNamespace, createNode, createPod } from '../kit/control-plane/objects.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';

const LEASES = '/apis/ipam.manifold.dev/v1/ipleases';

let cluster: Cluster;
let kubeconfig: string;
let namespace: string;
let directory: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  kubeconfig = cluster.kubeconfig();
  namespace = await createNamespace(cluster);
  directory = mkdtempSync(join(tmpdir(), 'manifold-leases-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(() => cluster.api('DELETE', LEASES));

const leases = (...argv: string[]) => runCommand(['leases', ...argv, '--kubeconfig', kubeconfig]);
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

type Sketch = Partial<Omit<IpLeaseSpec, 'owner'>> & { owner?: Partial<IpLeaseSpec['owner']> };

async function claim(address: string, { owner, ...spec }: Sketch = {}): Promise<IpLease> {
  const time = ago(3 * 3600 + 30);
  const whole: IpLeaseSpec = {
    ...{ address, subnet: address.includes(':') ? 'fd00::/64' : '10.1.0.0/16', domain: '', network: 'rail0' },
    ...{ node: 'gpu-1', phase: 'Held', acquired: time, renewed: time },
    ...spec,
    owner: {
      podNamespace: namespace,
      podName: 'web',
      uid: 'u-1',
      interface: 'net1',
      containerID: 'c0ffee',
      ...owner,
    },
  };
  return cluster.api('POST', LEASES, newIpLease(leaseName(whole.domain, parseAddress(address)), whole));
}

async function isThere(address: string): Promise<boolean> {
  return (await cluster.request({ method: 'GET', path: `${LEASES}/${address}` })).status === 200;
}

const rows = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ {2,}/g, ' | '));

describe('the list', () => {
  beforeEach(async () => {
    await claim('10.1.0.10');
    await claim('10.1.0.9', { network: 'rail1', node: 'gpu-2', owner: { podName: 'db-0', uid: 'u-2' } });
    await claim('fd00::1', { domain: 'blue', owner: { podNamespace: 'other' } });
  });

  test('shows every lease in the order of the addresses', async () => {
    const { exitCode, stdout } = await leases();
    expect(exitCode).toBe(0);
    expect(rows(stdout)).toEqual([
      'ADDRESS | NETWORK | NAMESPACE | POD | INTERFACE | PHASE | NODE | AGE',
      `10.1.0.9 | rail1 | ${namespace} | db-0 | net1 | Held | gpu-2 | 3h`,
      `10.1.0.10 | rail0 | ${namespace} | web | net1 | Held | gpu-1 | 3h`,
      'fd00::1 | rail0 | other | web | net1 | Held | gpu-1 | 3h',
    ]);
  });

  test.each([
    [['--network', 'rail1'], ['10.1.0.9']],
    [
      ['--node', 'gpu-1'],
      ['10.1.0.10', 'fd00::1'],
    ],
    [['-n', 'other'], ['fd00::1']],
    [['--pod', 'db-0'], ['10.1.0.9']],
    [['--pod', 'other/web'], ['fd00::1']],
    [['--pod', 'web', '--node', 'gpu-2'], []],
    [['--network', 'a,b=c'], []],
  ])('is narrowed by %j', async (argv, addresses) => {
    const { stdout } = await leases(...argv, '-o', 'json');
    expect(JSON.parse(stdout).leases.map((one: { address: string }) => one.address)).toEqual(addresses);
  });

  test('-o wide adds subnet, domain, container and UID', async () => {
    const { stdout } = await leases('-o', 'wide', '--pod', 'other/web');
    const [header, row] = rows(stdout);
    expect(header).toMatch('AGE | SUBNET | DOMAIN | CONTAINER | UID | RENEWED | FREE-IN');
    expect(row).toMatch('fd00::/64 | blue | c0ffee | u-1 | 3h | -');
  });

  test('-o json has the documented keys, and none where there is nothing', async () => {
    const { stdout } = await leases('-o', 'json', '--network', 'rail1');
    expect(JSON.parse(stdout)).toEqual({
      leases: [
        {
          ...{ name: '10.1.0.9', address: '10.1.0.9', subnet: '10.1.0.0/16', domain: '', network: 'rail1' },
          ...{ phase: 'Held', node: 'gpu-2', namespace, pod: 'db-0', uid: 'u-2', interface: 'net1' },
          ...{ container: 'c0ffee', acquired: expect.any(String), renewed: expect.any(String) },
        },
      ],
    });
    expect(JSON.parse((await leases('-o', 'json', '--network', 'none')).stdout)).toEqual({ leases: [] });
  });
});

describe('why', () => {
  test('a pod that lives has it until it is deleted', async () => {
    await createNode(cluster, 'gpu-1');
    const uid = await createPod(cluster, { namespace, name: 'web', node: 'gpu-1' });
    await claim('10.1.0.10', { owner: { uid } });
    const { exitCode, stdout } = await leases('why', '10.1.0.10');
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`10.1.0.10 is held by interface net1 of pod ${namespace}/web on network rail0.`);
    expect(stdout).toContain(`${namespace}/web (UID ${uid}) is there: Pending, on node gpu-1`);
    expect(stdout).toContain('Deleting the pod: then the runtime on node gpu-1 calls DEL.');
    expect(stdout).toContain('Then it rests for 1m, or until nothing else is free.');
  });

  test('another pod of the same name is not the owner', async () => {
    await claim('10.1.0.11', { owner: { uid: 'u-old' } });
    const { stdout } = await leases('why', '10.1.0.11');
    expect(stdout).toContain('is gone: another pod has its name now');
    expect(stdout).toContain('The agent on node gpu-1, when it runs: it is not heard.');
    expect(stdout).toContain('Nobody yet: no agent holds the Lease manifold-reclaim');
  });

  test('an agent that is heard ends what a pod that is gone has left', async () => {
    await cluster.api('POST', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases', {
      metadata: { name: 'manifold-node-gpu-1' },
      spec: { holderIdentity: 'gpu-1', renewTime: ago(1).replace('Z', '000Z') },
    });
    await claim('10.1.0.12', { owner: { podName: 'gone' } });
    const { stdout } = await leases('why', '10.1.0.12');
    expect(stdout).toMatch(/manifold-agent heard \ds ago/);
    expect(stdout).toContain('The agent on node gpu-1 ends it within a minute or two');
  });

  test('what a lost node holds waits for the reclaiming agent, which is named', async () => {
    await cluster.api('POST', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases', {
      metadata: { name: 'manifold-reclaim' },
      spec: { holderIdentity: 'gpu-7' },
    });
    await claim('10.1.0.13', { node: 'lost', owner: { podName: 'gone' } });
    const { stdout } = await leases('why', '10.1.0.13');
    expect(stdout).toContain('lost: there is no such node');
    expect(stdout).toContain('The reclaiming agent (on node gpu-7), when node lost is gone.');
  });

  test('a lease that rests or is kept says until when, and for whom', async () => {
    const times = { released: ago(60), until: ago(-600) };
    await claim('10.1.0.14', { ...times, phase: 'Resting', reuseDelaySeconds: 660 });
    await claim('10.1.0.15', { ...times, phase: 'Sticky', stickySeconds: 660, owner: { podName: 'db-0' } });
    const resting = await leases('why', '10.1.0.14');
    expect(resting.stdout).toContain('10.1.0.14 rests: it was freed by interface net1');
    expect(resting.stdout).toMatch(/it is free in (10m|9m\d\ds), at /);
    expect(resting.stdout).not.toContain('sooner');
    const sticky = await leases('why', '10.1.0.15');
    expect(sticky.stdout).toContain(
      `The next pod ${namespace}/db-0 gets it back on this interface and network.`,
    );
  });

  test('an address is explained in every domain that holds it, or in the one that is named', async () => {
    await claim('10.1.0.16');
    await claim('10.1.0.16', { domain: 'blue', network: 'bluenet' });
    await claim('10.1.0.16', { domain: 'No Label', network: 'hashed' });
    const all = await leases('why', '10.1.0.16/16');
    for (const network of ['rail0', 'bluenet', 'hashed'])
      expect(all.stdout).toContain(`on network ${network}.`);
    const one = await leases('why', '10.1.0.16', '--domain', 'blue');
    expect(one.stdout.match(/is held by/g)).toHaveLength(1);
    const unnamed = await leases('why', '10.1.0.16', '--domain', '');
    expect(unnamed.stdout).toContain('on network rail0.');
  });

  test('an address without a lease is free, and its surroundings are told', async () => {
    await claim('10.1.0.10');
    const { exitCode, stdout } = await leases('why', '10.1.77.77');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('10.1.77.77 is free: it has no lease.');
    expect(stdout).toContain('It lies in 10.1.0.0/16 of network rail0: 1 held there, 0 resting.');
    expect((await leases('why', '192.0.2.1')).stdout).toContain('No lease is of a subnet that it lies in.');
  });

  test('a reader who may see leases alone is told what is not known', async () => {
    const binding = (kind: string, spec: object) =>
      cluster.api('POST', `/apis/rbac.authorization.k8s.io/v1/${kind}`, {
        metadata: { name: 'test-leases-only' },
        ...spec,
      });
    await binding('clusterroles', {
      rules: [{ apiGroups: ['ipam.manifold.dev'], resources: ['*'], verbs: ['get', 'list'] }],
    });
    await binding('clusterrolebindings', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'test-leases-only' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }],
    });
    await claim('10.1.0.10');
    const reader = cluster.kubeconfig(cluster.addUser('reader'));
    const { exitCode, stdout } = await runCommand(['leases', 'why', '10.1.0.10'], { KUBECONFIG: reader });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/\/web \(UID u-1\): not known \(.*forbidden/);
    expect(stdout).toMatch(/gpu-1: not known \(.*forbidden/);
  });
});

describe('release', () => {
  test('a lease whose pod is there is refused, and ended when forced', async () => {
    const uid = await createPod(cluster, { namespace, name: 'busy', node: 'gpu-1' });
    await claim('10.1.0.20', { owner: { podName: 'busy', uid }, reuseDelaySeconds: 0 });
    const refused = await leases('release', '10.1.0.20');
    expect(refused).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('its pod is there (Pending)'),
    });
    expect(await isThere('10.1.0.20')).toBe(true);
    const forced = await leases('release', '10.1.0.20', '--force');
    expect(forced.stdout).toMatch(/^Forced, although its pod is there.*\nEnded the lease 10\.1\.0\.20/);
    expect(forced.exitCode).toBe(0);
    expect(await isThere('10.1.0.20')).toBe(false);
  });

  test('a lease on a node that is there is refused: its interface may still answer', async () => {
    await claim('10.1.0.21', { owner: { podName: 'gone' } });
    const { exitCode, stdout } = await leases('release', '10.1.0.21');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('on node gpu-1 its interface may still answer for the address');
  });

  test('a lease without pod and node is ended, and rests as others do', async () => {
    await claim('10.1.0.22', { node: 'lost', owner: { podName: 'gone' } });
    const dry = await leases('release', '10.1.0.22', '--dry-run');
    expect(dry).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Nothing was changed.') });
    expect((await cluster.api('GET', `${LEASES}/10.1.0.22`)).spec.phase).toBe('Held');
    expect((await leases('release', '10.1.0.22')).exitCode).toBe(0);
    expect((await cluster.api('GET', `${LEASES}/10.1.0.22`)).spec).toMatchObject({
      phase: 'Resting',
      until: expect.any(String),
    });
    expect((await leases('release', '10.1.0.22')).stdout).toContain('Ended the lease 10.1.0.22 (Resting)');
    expect(await isThere('10.1.0.22')).toBe(false);
    expect(await leases('release', '10.1.0.22')).toMatchObject({
      exitCode: 0,
      stdout: '10.1.0.22 is free: there is no lease to release.\n',
    });
  });

  test('an address that is held in two domains asks for one', async () => {
    await claim('10.1.0.23', { node: 'lost', owner: { podName: 'gone' } });
    await claim('10.1.0.23', { domain: 'blue', node: 'lost', owner: { podName: 'gone' } });
    const both = await leases('release', '10.1.0.23');
    expect(both).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('say which with --domain') });
    expect((await leases('release', '10.1.0.23', '--domain', 'blue')).exitCode).toBe(0);
    expect((await cluster.api('GET', `${LEASES}/10.1.0.23`)).spec.phase).toBe('Held');
  });
});

describe('the cluster that is asked', () => {
  const verbose = ['leases', '--verbose', '--conf-dir'];

  test('is the one that the CNI configuration of the node names', async () => {
    writeFileSync(join(directory, '05-broken.conf'), '{');
    const plugin = { type: 'macvlan', ipam: { type: 'whereabouts', kubernetes: { kubeconfig } } };
    writeFileSync(join(directory, '10-pods.conflist'), JSON.stringify({ name: 'pods', plugins: [plugin] }));
    const { exitCode, stderr } = await runCommand([...verbose, directory]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      `Cluster: ${cluster.url} as test (${kubeconfig}, context test, named by ${directory}/10-pods.conflist)`,
    );
  });

  test('is told in errors', async () => {
    const closed = cluster.kubeconfig({ token: 'wrong' });
    const { exitCode, stderr } = await runCommand(['leases'], { KUBECONFIG: closed });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`Asked was ${cluster.url} (${closed}, context test, named by $KUBECONFIG).`);
    expect(stderr).not.toContain('wrong');
  });

  test('is missing where nothing names one, and status is named instead', async () => {
    const { exitCode, stderr } = await runCommand(['leases', '--conf-dir', join(directory, 'nowhere')]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('manifold status');
  });
});
