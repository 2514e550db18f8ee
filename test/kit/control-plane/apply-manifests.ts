// `kubectl apply -f` of our own manifests, and the wait until the API server works by them.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import type { Cluster } from './cluster.ts';

/** The folder whose files are applied to a cluster. */
const DEPLOY = new URL('../../../deploy/', import.meta.url);

/** In the order in which `kubectl apply -R -f deploy/` takes them. */
export const ALL_MANIFESTS = [
  'admission.yaml',
  'crds/iplease.yaml',
  'crds/ippool.yaml',
  'crds/reclaimer.yaml',
  'rbac.yaml',
] as const;

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly group?: string;
    readonly names?: { readonly plural: string };
    readonly versions?: readonly { readonly name: string }[];
  };
}

/** @param files below deploy/: 'crds/iplease.yaml' */
export function readManifests(files: readonly string[]): Manifest[] {
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(new URL(file, DEPLOY), 'utf8')).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`Cannot read ${file}: ${document.errors[0]?.message}`);
      return (document.toJS() as Manifest | null) ?? [];
    }),
  );
}

/**
 * Server-side apply, in order; what they define is usable when this returns, but admission policies: see
 * `untilEnforced`. May be repeated.
 */
export async function applyManifests(cluster: Cluster, files: readonly string[]): Promise<void> {
  for (const manifest of readManifests(files)) {
    await cluster.api(
      'PATCH',
      `${await pathOf(cluster, manifest)}?fieldManager=test&force=true`,
      manifest,
      'application/apply-patch+yaml',
    );
    const { group, names, versions } = manifest.spec ?? {};
    if (manifest.kind === 'CustomResourceDefinition')
      for (const { name } of versions ?? [])
        await untilTrue(async () => {
          const path = `/apis/${group}/${name}/${names?.plural}`;
          return (await cluster.request({ method: 'GET', path })).status === 200;
        });
  }
}

async function pathOf(cluster: Cluster, { apiVersion, kind, metadata }: Manifest): Promise<string> {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = await cluster.api('GET', root);
  const resource = (resources as { kind: string; name: string; namespaced: boolean }[]).find(
    (one) => one.kind === kind && !one.name.includes('/'),
  );
  if (resource === undefined) throw new Error(`Cannot apply ${kind} ${metadata.name}: no such resource`);
  const within = resource.namespaced ? `/namespaces/${metadata.namespace}` : '';
  return `${root}${within}/${resource.name}/${metadata.name}`;
}

/** Policies are enforced a moment after they are there. @param isRefused tries what a policy forbids */
export const untilEnforced = (isRefused: () => Promise<boolean>): Promise<void> => untilTrue(isRefused);

async function untilTrue(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('Cannot go on: the API server does not work by the manifest');
    await sleep(50);
  }
}
