// The API client while API server and etcd are really stopped and started.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createKubeClient, type KubeClientOptions } from '../../pkg/kube/create-kube-client.ts';
import type { KubeClient, KubeObject, KubeResource } from '../../pkg/kube/kube-client.ts';
import { isKubeError, KubeError } from '../../pkg/kube/kube-error.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';
import { type ControlPlane, startControlPlane } from '../kit/control-plane/control-plane.ts';

const MAPS: KubeResource = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const namespace = 'default';

let plane: ControlPlane;
const open: KubeClient[] = [];
beforeAll(async () => {
  plane = await startControlPlane();
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});
afterAll(() => plane?.close());

async function clientOf(options: KubeClientOptions = {}): Promise<KubeClient> {
  const client = createKubeClient(await readKubeconfig(plane.kubeconfig()), options);
  open.push(client);
  return client;
}

const map = (name = `map-${randomBytes(4).toString('hex')}`): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { owner: 'us' } },
});
const isOurs = (found: KubeObject) => found.metadata.labels?.owner === 'us';
const make = (client: KubeClient, name?: string) => client.create(MAPS, map(name), { namespace, isOurs });

async function failureOf(call: Promise<unknown>): Promise<KubeError> {
  const failure = await call.catch((error: unknown) => error);
  if (failure instanceof KubeError) return failure;
  throw new Error(`Cannot go on: no KubeError (${JSON.stringify(failure)})`);
}

test('a call to an API server that is down succeeds when it comes up within the time', async () => {
  const client = await clientOf({ timeoutMs: 60_000 });
  await plane.stopApiServer();
  const making = make(client);
  await sleep(300);
  await plane.startApiServer();
  expect((await making).metadata.uid).toBeTruthy();
});

test('a kept connection that a restart has broken is no failure of the next call', async () => {
  const client = await clientOf();
  await make(client);
  await plane.stopApiServer();
  await plane.startApiServer();
  expect((await make(client)).metadata.uid).toBeTruthy();
});

test('without etcd a write fails as perhaps done and to be repeated; repeated with etcd it is there once', async () => {
  const client = await clientOf({ timeoutMs: 2500 });
  const { name } = map().metadata;
  await make(client);
  await plane.stopEtcd();
  const error = await failureOf(make(client, name));
  expect(error).toMatchObject({ code: 'try-later', maybeDone: true });
  expect(error.message).toContain(name);
  expect(error.hint).toMatch(/etcd|API server/);
  await plane.startEtcd();
  const patient = await clientOf({ timeoutMs: 60_000 });
  // Whether the first attempt was carried out after all is not known: both answers are right, two objects are not.
  const made = await make(patient, name).catch((failure: unknown) => {
    if (isKubeError(failure, 'AlreadyExists')) return undefined;
    throw failure;
  });
  const found = await patient.get(MAPS, name, { namespace });
  if (made !== undefined) expect(found.metadata.uid).toBe(made.metadata.uid);
  expect(isOurs(found)).toBe(true);
});

test('list and watch over a crash of the API server: each object is seen once, made before, meanwhile or after', async () => {
  const client = await clientOf({ timeoutMs: 60_000, retry: { firstMs: 20, mostMs: 200 } });
  const labels = { batch: randomBytes(4).toString('hex') };
  const labelSelector = `batch=${labels.batch}`;
  const names = Array.from({ length: 30 }, (_, i) => `${labels.batch}-${String(i).padStart(2, '0')}`);
  const controller = new AbortController();
  const { signal } = controller;
  const events: string[] = [];
  const known = new Set<string>();
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      const list = await client.list(MAPS, { namespace, labelSelector });
      for (const { metadata } of list.items) {
        if (!known.has(metadata.name)) events.push(metadata.name);
        known.add(metadata.name);
      }
      if (known.size === names.length) return;
      try {
        const { resourceVersion } = list;
        for await (const event of client.watch(MAPS, { namespace, labelSelector, resourceVersion, signal })) {
          if (event.type === 'BOOKMARK') continue;
          events.push(event.object.metadata.name);
          known.add(event.object.metadata.name);
          if (known.size === names.length) return;
        }
      } catch (error) {
        if (!isKubeError(error, 'Expired')) throw error;
      }
    }
  };
  const following = follow();
  const makeAll = async (some: readonly string[]): Promise<void> => {
    for (const name of some)
      await client.create(
        MAPS,
        { ...map(name), metadata: { name, labels } },
        { namespace, isOurs: () => true },
      );
  };
  await makeAll(names.slice(0, 10));
  const meanwhile = makeAll(names.slice(10, 20));
  await sleep(15);
  await plane.stopApiServer();
  await plane.startApiServer();
  await meanwhile;
  await makeAll(names.slice(20));
  await following;
  controller.abort();
  expect(events).toEqual(names);
});

test('a watch from a resourceVersion that the API server no longer knows ends with Expired', async () => {
  const client = await clientOf({ timeoutMs: 60_000 });
  const { metadata } = await make(client);
  await make(client);
  await plane.stopApiServer();
  await plane.startApiServer();
  // The new process remembers nothing from before its start.
  const watching = async (): Promise<void> => {
    const resourceVersion = metadata.resourceVersion ?? '';
    for await (const event of client.watch(MAPS, { namespace, resourceVersion }))
      throw new Error(`Cannot be: ${event.type}`);
  };
  expect(await failureOf(watching())).toMatchObject({ reason: 'Expired', status: 410 });
});
