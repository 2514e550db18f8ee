// The definitions and objects of Whereabouts as its versions have left them in clusters, written over the raw API.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './control-plane/cluster.ts';

const GROUP = 'whereabouts.cni.cncf.io';
const ROOT = `/apis/${GROUP}/v1alpha1`;
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

type Schema = Readonly<Record<string, unknown>>;

const text = { type: 'string' };
const object = (properties: Schema, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required }),
});

const KINDS: Readonly<Record<string, { readonly kind: string; readonly schema: Schema }>> = {
  ippools: {
    kind: 'IPPool',
    schema: object({
      spec: object(
        {
          range: text,
          allocations: {
            type: 'object',
            additionalProperties: object({ id: text, podref: text, ifname: text }, ['id', 'podref']),
          },
        },
        ['range', 'allocations'],
      ),
    }),
  },
  overlappingrangeipreservations: {
    kind: 'OverlappingRangeIPReservation',
    schema: object({ spec: object({ podref: text, ifname: text, containerid: text }, ['podref']) }, ['spec']),
  },
  nodeslicepools: {
    kind: 'NodeSlicePool',
    schema: object({
      spec: object({ range: text, sliceSize: text }, ['range', 'sliceSize']),
      status: object(
        {
          allocations: {
            type: 'array',
            items: object({ nodeName: text, sliceRange: text }, ['nodeName', 'sliceRange']),
          },
        },
        ['allocations'],
      ),
    }),
  },
};

export async function installWhereabouts(cluster: Cluster): Promise<void> {
  for (const [plural, { kind, schema }] of Object.entries(KINDS)) {
    const version = { name: 'v1alpha1', served: true, storage: true, schema: { openAPIV3Schema: schema } };
    const names = { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() };
    await cluster.api('POST', DEFINITIONS, {
      metadata: { name: `${plural}.${GROUP}` },
      spec: { group: GROUP, scope: 'Namespaced', names, versions: [version] },
    });
  }
  await until(async () => {
    const answers = Object.keys(KINDS).map((plural) =>
      cluster.request({ method: 'GET', path: `${ROOT}/${plural}` }),
    );
    return (await Promise.all(answers)).every(({ status }) => status === 200);
  });
}

/** Definitions and all objects, whatever finalizers these have. */
export async function removeWhereabouts(cluster: Cluster): Promise<void> {
  await clearWhereabouts(cluster);
  for (const plural of Object.keys(KINDS))
    await cluster.request({ method: 'DELETE', path: `${DEFINITIONS}/${plural}.${GROUP}` });
  await until(async () => {
    const answers = Object.keys(KINDS).map((plural) =>
      cluster.request({ method: 'GET', path: `${ROOT}/${plural}` }),
    );
    return (await Promise.all(answers)).every(({ status }) => status === 404);
  });
}

export async function clearWhereabouts(cluster: Cluster): Promise<void> {
  for (const plural of Object.keys(KINDS)) {
    const { status, body } = await cluster.request({ method: 'GET', path: `${ROOT}/${plural}` });
    for (const { metadata } of status === 200 ? body.items : []) {
      const path = `${ROOT}/namespaces/${metadata.namespace}/${plural}/${metadata.name}`;
      const patch = { metadata: { finalizers: null } };
      await cluster.request({
        method: 'PATCH',
        path,
        body: patch,
        contentType: 'application/merge-patch+json',
      });
      await cluster.request({ method: 'DELETE', path });
    }
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 400; round++) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error('Cannot go on: the definitions of Whereabouts are neither there nor gone');
}

export interface AllocationSketch {
  readonly id: string;
  readonly podref: string;
  readonly ifname?: string;
}

const inNamespace = (plural: string, namespace: string): string =>
  `${ROOT}/namespaces/${namespace}/${plural}`;

export async function createTheirPool(
  cluster: Cluster,
  name: string,
  range: string,
  allocations: Readonly<Record<string, AllocationSketch>>,
  namespace = 'kube-system',
): Promise<void> {
  await cluster.api('POST', inNamespace('ippools', namespace), {
    ...{ apiVersion: `${GROUP}/v1alpha1`, kind: 'IPPool', metadata: { name } },
    spec: { range, allocations },
  });
}

export async function createTheirReservation(
  cluster: Cluster,
  name: string,
  spec: { readonly podref: string; readonly ifname?: string; readonly containerid?: string },
  namespace = 'kube-system',
): Promise<void> {
  const head = { apiVersion: `${GROUP}/v1alpha1`, kind: 'OverlappingRangeIPReservation', metadata: { name } };
  await cluster.api('POST', inNamespace('overlappingrangeipreservations', namespace), { ...head, spec });
}

export async function createTheirSlices(
  cluster: Cluster,
  name: string,
  spec: { readonly range: string; readonly sliceSize: string },
  allocations: readonly { readonly nodeName: string; readonly sliceRange: string }[],
  namespace = 'kube-system',
): Promise<void> {
  const head = { apiVersion: `${GROUP}/v1alpha1`, kind: 'NodeSlicePool', metadata: { name } };
  await cluster.api('POST', inNamespace('nodeslicepools', namespace), {
    ...head,
    spec,
    status: { allocations },
  });
}

/** As Whereabouts deletes it: by name, whosever it is. */
export async function deleteTheirReservation(
  cluster: Cluster,
  name: string,
  namespace = 'kube-system',
): Promise<void> {
  await cluster.request({
    method: 'DELETE',
    path: `${inNamespace('overlappingrangeipreservations', namespace)}/${name}`,
  });
}

export interface ReservationFound {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly podref: string; readonly ifname?: string; readonly containerid?: string };
}

export async function theirReservations(cluster: Cluster): Promise<readonly ReservationFound[]> {
  return (await cluster.api('GET', `${ROOT}/overlappingrangeipreservations`)).items;
}

export interface PoolFound {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly range: string; readonly allocations: Readonly<Record<string, AllocationSketch>> };
}

export async function theirPools(cluster: Cluster): Promise<readonly PoolFound[]> {
  return (await cluster.api('GET', `${ROOT}/ippools`)).items;
}
