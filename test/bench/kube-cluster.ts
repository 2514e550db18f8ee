// A cluster for the benchmark: a control plane of its own with our definitions and Whereabouts', and ways to fill it.
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { parseAddress } from '../../pkg/ip/address.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { ALL_MANIFESTS, applyManifests } from '../kit/control-plane/apply-manifests.ts';
import { type ControlPlane, startControlPlane } from '../kit/control-plane/control-plane.ts';
import { leaseObject } from '../kit/lease-object.ts';
import { createTheirPool, installWhereabouts } from '../kit/whereabouts-objects.ts';

export class BenchCluster implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly client: KubeClient;
  readonly kubeconfig: string;

  private constructor(plane: ControlPlane, client: KubeClient, kubeconfig: string) {
    this.plane = plane;
    this.client = client;
    this.kubeconfig = kubeconfig;
  }

  /** @throws Error as startControlPlane does */
  static async start(): Promise<BenchCluster> {
    const plane = await startControlPlane();
    try {
      await applyManifests(plane, ALL_MANIFESTS);
      await installWhereabouts(plane);
      const kubeconfig = plane.kubeconfig();
      const client = createKubeClient(await readKubeconfig(kubeconfig), { connections: 16 });
      return new BenchCluster(plane, client, kubeconfig);
    } catch (error) {
      await plane.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.client.close();
    await this.plane.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A pod with some interfaces that hold addresses. */
export interface Holder {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
}

/** Addresses of a subnet, held, one after the other, each by another interface; eight interfaces a pod. */
export async function fillLeases(
  client: KubeClient,
  { subnet, from = 0, count }: { readonly subnet: string; readonly from?: number; readonly count: number },
  holders: readonly Holder[],
): Promise<void> {
  const first = firstOf(subnet) + from;
  const leases = Array.from({ length: count }, (_, index) => {
    const holder = holders[Math.floor(index / 8) % holders.length];
    if (holder === undefined) throw new Error('Cannot fill the cluster: there are no holders');
    const { name, uid, node } = holder;
    const owner = {
      ...{ podNamespace: 'default', podName: name, uid, interface: `net${(index % 8) + 1}` },
      containerID: 'c'.repeat(64 - name.length) + name,
    };
    return leaseObject({ address: addressText(first + index), subnet, node, owner });
  });
  await atMost(32, leases, async (lease) => {
    await client.create<IpLease>(IP_LEASES, lease, { isOurs: () => true });
  });
}

/** As if so many pods had their addresses from Whereabouts, the first ones of the subnet. */
export async function fillTheirPool(
  { plane }: BenchCluster,
  { subnet, count }: { readonly subnet: string; readonly count: number },
): Promise<void> {
  const allocations = Array.from({ length: count }, (_, index) => {
    const id = `${index}`.padStart(64, 'c');
    return [`${index + 1}`, { id, podref: `default/pod-${index}`, ifname: 'net1' }] as const;
  });
  const name = subnet.replaceAll('/', '-');
  await createTheirPool(plane, name, subnet, Object.fromEntries(allocations));
}

/** Never more than so many at once. */
export async function atMost<T>(
  many: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: many }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

/** The first address that is given. */
function firstOf(subnet: string): number {
  return Number(parseAddress(subnet.replace(/\/.*/, '')).value) + 1;
}

const addressText = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
