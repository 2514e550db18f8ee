// The node's row of a lease and the lease's object, each made from the other. Pure.
import type { ClusterLeaseRecord, PodRef } from '../pkg/state/node-store.ts';
import {
  type IpLease,
  type IpLeaseSpec,
  isHeldBy,
  isOfStatefulSet,
  newIpLease,
  timeText,
} from './ip-lease.ts';

/** Parts of metadata that a write names as its preconditions. */
export type ObjectState = NonNullable<ClusterLeaseRecord['object']>;

/** @param now milliseconds since the epoch, by the clock of the API server */
function heldSpec(row: ClusterLeaseRecord, nodeName: string, now: number): IpLeaseSpec {
  const { pod, reuseDelaySeconds, stickySeconds } = row;
  return {
    address: row.address,
    subnet: row.subnet,
    domain: row.domain,
    network: row.network,
    node: nodeName,
    phase: 'Held',
    owner: {
      ...(pod.namespace !== undefined && { podNamespace: pod.namespace }),
      ...(pod.name !== undefined && { podName: pod.name }),
      uid: row.owner,
      interface: row.ifname,
      containerID: row.containerId,
    },
    acquired: timeText(row.acquired),
    renewed: timeText(now),
    ...(reuseDelaySeconds !== undefined && { reuseDelaySeconds }),
    ...(stickySeconds !== undefined && { stickySeconds }),
  };
}

/** The whole object as it is to be. @param object what it must still be; absent for one to be created */
export function leaseOfRow(
  row: ClusterLeaseRecord,
  nodeName: string,
  now: number,
  object: ObjectState | undefined,
): IpLease {
  const lease = newIpLease(row.name, heldSpec(row, nodeName, now));
  return object === undefined ? lease : { ...lease, metadata: { ...lease.metadata, ...object } };
}

/** Undefined only for what no API server would answer. */
export function objectState({ metadata: { uid, resourceVersion } }: IpLease): ObjectState | undefined {
  return uid === undefined || resourceVersion === undefined ? undefined : { uid, resourceVersion };
}

/** An owner's interface on a network: a row, or a request. */
interface Holder {
  readonly owner: string;
  readonly ifname: string;
  readonly network: string;
}

/**
 * True when this owner holds it on this node. The UID alone does not say so: static pods of one manifest have one UID on
 * all nodes that read it.
 * @param object as this node's row knows it: the node may have been called otherwise when it was claimed
 */
export const isHeldHere = (lease: IpLease, holder: Holder, nodeName: string, object?: ObjectState): boolean =>
  isHeldBy(lease, holder) &&
  (lease.spec.node === nodeName || (object !== undefined && lease.metadata.uid === object.uid));

/** True when it was this owner's and is nobody's now. */
export const wasHeldBy = ({ spec }: IpLease, { owner, ifname, network }: Holder): boolean =>
  spec.phase !== 'Held' &&
  spec.owner.uid === owner &&
  spec.owner.interface === ifname &&
  spec.network === network;

/** True when it is kept for the next pod of this name, and this is it. */
export const isKeptFor = (
  { spec }: IpLease,
  { pod, ifname, network }: { readonly pod: PodRef; readonly ifname: string; readonly network: string },
): boolean =>
  spec.phase === 'Sticky' &&
  isOfStatefulSet(pod.name) &&
  spec.owner.podName === pod.name &&
  spec.owner.podNamespace === pod.namespace &&
  spec.owner.interface === ifname &&
  spec.network === network;
