// coordination.k8s.io Leases: how a process says that it lives, and who of many does what one must do.
import type { KubeClient, KubeObject, KubeResource, ObjectMeta } from '../../pkg/kube/kube-client.ts';
import { ifFound } from '../../pkg/kube/kube-error.ts';

export const COORDINATION_LEASES: KubeResource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export interface CoordinationLease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** MicroTime. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export function newCoordinationLease(
  metadata: ObjectMeta,
  spec: CoordinationLease['spec'],
): CoordinationLease {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, ...(spec && { spec }) };
}

export interface LeasePlace {
  readonly namespace: string;
  readonly name: string;
}

/** Undefined when there is none. @throws KubeError */
export const readCoordinationLease = (
  client: KubeClient,
  { namespace, name }: LeasePlace,
  signal: AbortSignal,
): Promise<CoordinationLease | undefined> =>
  ifFound(client.get<CoordinationLease>(COORDINATION_LEASES, name, { namespace, signal }));

/** RFC 3339 with microseconds, as MicroTime wants it. @param ms since the epoch */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');
