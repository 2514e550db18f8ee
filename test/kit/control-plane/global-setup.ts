// One control plane for all files of the test project `kube`: vitest starts it before the first and stops it after the
// last.
import type { TestProject } from 'vitest/node';
import type { ClusterPlace } from './cluster.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { allObjects } from './empty-cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: ClusterPlace;
    /** What the cluster holds when it is new: paths of the API. */
    clusterObjects: readonly string[];
  }
}

let plane: ControlPlane | undefined;

export async function setup(project: TestProject): Promise<void> {
  plane = await startControlPlane();
  project.provide('cluster', plane.place);
  project.provide('clusterObjects', await allObjects(plane));
}

export async function teardown(): Promise<void> {
  await plane?.close();
}
