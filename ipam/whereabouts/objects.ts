// The custom resources of Whereabouts, in the shapes that its versions have written.
import type { KubeObject, KubeResource } from '../../pkg/kube/kube-client.ts';

export const WHEREABOUTS_GROUP = 'whereabouts.cni.cncf.io';

const resource = (plural: string, kind: string): KubeResource => ({
  group: WHEREABOUTS_GROUP,
  version: 'v1alpha1',
  plural,
  kind,
  namespaced: true,
});

export const THEIR_POOLS = resource('ippools', 'IPPool');
export const THEIR_RESERVATIONS = resource('overlappingrangeipreservations', 'OverlappingRangeIPReservation');
export const THEIR_SLICES = resource('nodeslicepools', 'NodeSlicePool');

/** Who has an address of a pool. */
export interface TheirAllocation {
  /** Container ID; of an earlier sandbox of the pod in some versions. */
  readonly id: string;
  /** "namespace/name". */
  readonly podref: string;
  /** Absent in old data. */
  readonly ifname?: string;
}

export interface TheirPool extends KubeObject {
  readonly spec: {
    /** CIDR; offsets count from the address as it is written. */
    readonly range: string;
    /** By offset, a decimal number. */
    readonly allocations?: Readonly<Record<string, TheirAllocation>>;
  };
}

/** Its name says which address, and for which network_name: reservationName. */
export interface TheirReservation extends KubeObject {
  readonly spec: {
    readonly podref: string;
    readonly ifname?: string;
    readonly containerid?: string;
  };
}

export interface TheirSlicePool extends KubeObject {
  readonly spec: { readonly range: string; readonly sliceSize: string };
  readonly status?: {
    /** An empty node name: a slice that no node has. */
    readonly allocations?: readonly { readonly nodeName: string; readonly sliceRange: string }[];
  };
}

/** The namespace of their objects where the kubeconfig's context names none. */
export const THEIR_NAMESPACE = 'kube-system';
