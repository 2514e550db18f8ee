// The custom resource IPPool, optional: names a range once for many definitions, and says who may use it.
import type { KubeObject, KubeResource } from '../pkg/kube/kube-client.ts';
import { IPAM_GROUP } from './ip-lease.ts';

export const IP_POOLS: KubeResource = {
  group: IPAM_GROUP,
  version: 'v1',
  plural: 'ippools',
  kind: 'IPPool',
  namespaced: false,
};

export interface IpPoolSpec {
  /** As `ipam.range`: a CIDR, or "start-end/length". */
  readonly range: string;
  readonly rangeStart?: string;
  readonly rangeEnd?: string;
  readonly exclude?: readonly string[];
  readonly gateway?: string;
  /** As `ipam.network_name`. @default "" */
  readonly domain?: string;
  /** Where a definition says nothing. "90s", "10m", "1h". */
  readonly reuseDelay?: string;
  readonly sticky?: string;
  /** lowest: where the range has at most 256 addresses; spread: everywhere else. */
  readonly order?: 'lowest' | 'spread';
  /** Namespaces whose pods may have addresses of it, "team-*" allowed; all when absent. */
  readonly namespaces?: readonly string[];
  /** Nodes whose pods may have addresses of it, "gpu-*" allowed; all when absent. */
  readonly nodes?: readonly string[];
}

/** Kept by one of the agents. */
export interface IpPoolStatus {
  /** Addresses that may be given; text, since an IPv6 range has more than a number can say. */
  readonly capacity: string;
  readonly used: number;
  readonly resting: number;
  readonly free: string;
  readonly conditions: readonly PoolCondition[];
}

/** metav1.Condition. Types: Valid (the spec can be used), Available (an address is free). */
export interface PoolCondition {
  readonly type: 'Valid' | 'Available';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

export interface IpPool extends KubeObject {
  readonly spec: IpPoolSpec;
  readonly status?: IpPoolStatus;
}
