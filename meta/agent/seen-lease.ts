// What an agent keeps in memory of an IPLease: the fields that decide, not the whole object.
import type { IpLease, IpLeaseSpec, LeasePhase } from '../../ipam/ip-lease.ts';
import type { RawObject } from '../../pkg/kube/kube-client.ts';

export interface SeenOwner {
  readonly podNamespace: string | undefined;
  readonly podName: string | undefined;
  readonly uid: string;
  readonly ifname: string;
  readonly containerId: string;
}

export interface SeenLease {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly domain: string;
  /** Canonical text. */
  readonly address: string;
  readonly network: string;
  readonly node: string;
  readonly phase: LeasePhase;
  /** Milliseconds since the epoch; undefined while it is held. */
  readonly until: number | undefined;
  readonly owner: SeenOwner;
}

/** Undefined for what is no lease: the schema of the custom resource lets none pass, but a schema can be taken away. */
export function seenLease(object: RawObject): SeenLease | undefined {
  const { name, uid, resourceVersion } = object.metadata;
  const spec = object.spec as Partial<IpLeaseSpec> | undefined;
  const owner = spec?.owner;
  if (uid === undefined || resourceVersion === undefined || owner === undefined) return undefined;
  const { address, phase, node, network, until } = spec ?? {};
  if (address === undefined || phase === undefined || node === undefined) return undefined;
  return {
    ...{ name, uid, resourceVersion, address, phase, node },
    domain: spec?.domain ?? '',
    network: network ?? '',
    until: until === undefined ? undefined : Date.parse(until),
    owner: {
      podNamespace: owner.podNamespace,
      podName: owner.podName,
      uid: owner.uid,
      ifname: owner.interface,
      containerId: owner.containerID,
    },
  };
}

/** True when the object is still held by whom it was held by when it was seen, in the same sandbox. */
export function isStillHeldBy({ spec, metadata }: IpLease, seen: SeenLease): boolean {
  const { owner } = seen;
  return (
    metadata.uid === seen.uid &&
    spec.phase === 'Held' &&
    spec.node === seen.node &&
    spec.owner.uid === owner.uid &&
    spec.owner.interface === owner.ifname &&
    spec.owner.containerID === owner.containerId
  );
}

/** A runtime that names no pod, or not its UID, leaves the container to be the owner. */
export const isOfPod = ({ uid, containerId, podName }: SeenOwner): boolean =>
  podName !== undefined && uid !== containerId;

/** As the API server makes them: no other pod ever has it. A static pod's is the hash of its file. */
export const isPodUid = (uid: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uid);
