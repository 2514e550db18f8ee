// One control plane for all files of the test project `kube`: vitest starts it before the first and stops it after the
// last.
import type { TestProject } from 'vitest/node';
import type { ClusterPlace } from './cluster.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { allObjects } from './empty-cluster.ts';

export type SharedCluster =
  /** `objects`: what the cluster holds when it is new, as paths of the API. */
  { readonly place: ClusterPlace; readonly objects: readonly string[] } | { readonly failure: string };

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: SharedCluster;
  }
}

let plane: ControlPlane | undefined;

export async function setup(project: TestProject): Promise<void> {
  try {
    plane = await startControlPlane();
    project.provide('cluster', { place: plane.place, objects: await allObjects(plane) });
  } catch (error) {
    // Thrown here it would end the run of the other projects too: it is thrown where the cluster is asked for.
    project.provide('cluster', { failure: error instanceof Error ? error.message : String(error) });
  }
}

export async function teardown(): Promise<void> {
  await plane?.close();
}
