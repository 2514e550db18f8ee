// The custom resource IPLease: one object an address, whose creation is the claim. What it means: docs/leases.md.
import type { KubeObject, KubeResource } from '../pkg/kube/kube-client.ts';

export const IPAM_GROUP = 'ipam.manifold.dev';

export const IP_LEASES: KubeResource = {
  group: IPAM_GROUP,
  version: 'v1',
  plural: 'ipleases',
  kind: 'IPLease',
  namespaced: false,
};

/**
 * Held: an interface has it. Resting: freed, and not given again before `until`, but to the same owner. Sticky: kept
 * until `until` for the next pod of the same namespace and name.
 */
export type LeasePhase = 'Held' | 'Resting' | 'Sticky';

/** Who holds it, or held it last. The lease belongs to pod UID and interface; the container says which sandbox. */
export interface LeaseOwner {
  /** Absent where the runtime named no pod. */
  readonly podNamespace?: string;
  readonly podName?: string;
  /** Of the pod, or the container ID where there is none. */
  readonly uid: string;
  readonly interface: string;
  readonly containerID: string;
}

export interface IpLeaseSpec {
  /** Canonical text, no prefix length. */
  readonly address: string;
  /** The subnet that it was given from, "10.1.0.0/16": its prefix length is the interface's. */
  readonly subnet: string;
  /** Addresses are unique within a domain: "" unless `network_name` names one. */
  readonly domain: string;
  /** `name` of the network configuration. */
  readonly network: string;
  readonly node: string;
  readonly phase: LeasePhase;
  readonly owner: LeaseOwner;
  /** RFC 3339 with milliseconds, by the clock of the API server, as all times here. */
  readonly acquired: string;
  /** When the owner, or the agent of its node, last said that it still has it. */
  readonly renewed: string;
  /** When it was freed: resting and sticky ones only. */
  readonly released?: string;
  readonly until?: string;
  /** Of the definition: how long it rests. Absent: DEFAULT_REST_SECONDS, and less when nothing else is free. */
  readonly reuseDelaySeconds?: number;
  /** Of the definition: how long a StatefulSet's pod may be away and come back to it. */
  readonly stickySeconds?: number;
}

export interface IpLease extends KubeObject {
  readonly spec: IpLeaseSpec;
}

export const DEFAULT_REST_SECONDS = 60;

export const newIpLease = (name: string, spec: IpLeaseSpec): IpLease => ({
  apiVersion: `${IP_LEASES.group}/${IP_LEASES.version}`,
  kind: IP_LEASES.kind,
  metadata: { name },
  spec,
});

/** True when the lease is held by this owner's interface on this network. */
export const isHeldBy = (
  { spec }: IpLease,
  holder: { readonly owner: string; readonly ifname: string; readonly network: string },
): boolean =>
  spec.phase === 'Held' &&
  spec.owner.uid === holder.owner &&
  spec.owner.interface === holder.ifname &&
  spec.network === holder.network;

/** What a lease becomes when its holder is done with it: undefined when it is to be deleted. @param now milliseconds since the epoch */
export function endedSpec(spec: IpLeaseSpec, now: number): IpLeaseSpec | undefined {
  const { stickySeconds = 0, reuseDelaySeconds = DEFAULT_REST_SECONDS, owner } = spec;
  const sticky = isOfStatefulSet(owner.podName) && stickySeconds > 0;
  const seconds = sticky ? Math.max(stickySeconds, reuseDelaySeconds) : reuseDelaySeconds;
  if (seconds <= 0) return undefined;
  const times = { released: timeText(now), until: timeText(now + seconds * 1000) };
  return { ...spec, phase: sticky ? 'Sticky' : 'Resting', ...times };
}

/** A StatefulSet's pods come back under their name, which ends in an ordinal; other pods never do. */
export const isOfStatefulSet = (podName: string | undefined): boolean =>
  podName !== undefined && /-\d+$/.test(podName);

/** True when a freed lease has waited long enough to be given to anybody, or to be deleted. */
export const isOver = ({ phase, until }: IpLeaseSpec, now: number): boolean =>
  phase !== 'Held' && (until === undefined || Date.parse(until) <= now);

/** True when it may be given early, since nothing else is free: it rests by default and not by a definition's word. */
export const restsByDefault = ({ phase, reuseDelaySeconds }: IpLeaseSpec): boolean =>
  phase === 'Resting' && reuseDelaySeconds === undefined;

export const timeText = (now: number): string => new Date(now).toISOString();
