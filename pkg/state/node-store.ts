// The node's store as the rest of Manifold sees it: attachments, interfaces, leases, of this node, crash-safe.
// This file is types only.
import type { AttachmentId, JsonObject } from '../cni/plugin.ts';
import type { AddressRange } from '../ip/range.ts';

/** Who asks for an attachment. The UID is there when the runtime passes K8S_POD_UID. */
export interface PodRef {
  readonly uid?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** The process that wrote a record: tells an ADD that is under way from one that died. */
export interface Writer {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, so that a reused pid is not taken for the same process. */
  readonly startTime: string;
  readonly bootId: string;
}

/**
 * What the meta plugin was asked to attach, written before the first step (state "planned"), and what came out.
 * DEL, CHECK and GC work from it.
 */
export interface AttachmentRecord extends AttachmentId {
  /** The sandbox's record as a whole is keyed by containerId; position orders its attachments, 0 = default network. */
  readonly position: number;
  /** "namespace/name" of the definition, or the CNI name of the default network. */
  readonly network: string;
  readonly pod: PodRef;
  readonly netns: string;
  /** The network configuration list that was used, fully resolved. */
  readonly config: JsonObject;
  readonly args: Readonly<Record<string, string>>;
  readonly state: 'planned' | 'adding' | 'added' | 'deleting';
  /** The result, newest version, once added. */
  readonly result?: JsonObject;
  readonly writer: Writer;
}

/** An interface that one of our plugins made or moved, and what the device was before the first change. */
export interface InterfaceRecord extends AttachmentId {
  readonly plugin: string;
  readonly network: string;
  readonly pod: PodRef;
  readonly netns: string;
  /** Namespace.id of the pod's namespace. */
  readonly netnsId: string;
  /**
   * Identity of a device that can have one holder only ("pci:0000:3b:00.2", "mac:02:…"); undefined for an
   * interface that we create. Unique among the records.
   */
  readonly device?: string;
  readonly state: 'adding' | 'added';
  /** What the plugin needs to undo or check: its own shape. For a device: what it was before the first change. */
  readonly saved: JsonObject;
  readonly writer: Writer;
}

/** A lease of the file store: one address of one owner. */
export interface LeaseRecord {
  /** The allocation domain: addresses are unique within it. "" unless the configuration names one. */
  readonly domain: string;
  /** Canonical text of the address, no prefix length: "10.1.2.3", "2001:db8::1". */
  readonly address: string;
  /** `name` of the network configuration, for people. */
  readonly network: string;
  /** Pod UID, or the container ID where there is none, and the interface: who the lease belongs to. */
  readonly owner: string;
  readonly ifname: string;
  /** The sandbox that holds it now: a DEL of another sandbox does not free it. */
  readonly containerId: string;
  readonly pod: PodRef;
  readonly netns: string;
  /** claimed: its ADD is under way (or died); held: in use; resting: freed, not given again while others are free. */
  readonly state: 'claimed' | 'held' | 'resting';
  /** Milliseconds since the epoch. */
  readonly acquired: number;
  /** Set while resting. */
  readonly released?: number;
  /** What the definition asks for at its end: how long it rests (by default until nothing else is free), … */
  readonly reuseDelaySeconds?: number;
  /** … and how long it is kept for the next pod of its name, a StatefulSet's. */
  readonly stickySeconds?: number;
  readonly writer: Writer;
}

/**
 * The node's copy of a lease object of the cluster (IPLease), written before the API server is asked for it: what a
 * kill leaves is found here, and an owner gets its address back while the API server is away.
 */
export interface ClusterLeaseRecord {
  /** Of the object: unique here too. */
  readonly name: string;
  /** Which cluster the object is in (clusterIdentity); absent where that was not known. */
  readonly cluster?: string;
  readonly domain: string;
  /** Canonical text of the address, no prefix length. */
  readonly address: string;
  /** Canonical text of the subnet that it was given from: "10.1.0.0/16". */
  readonly subnet: string;
  readonly network: string;
  readonly owner: string;
  readonly ifname: string;
  readonly containerId: string;
  readonly pod: PodRef;
  readonly netns: string;
  /**
   * claiming: the API server is being asked, or was and nobody knows what came of it; claimed: the object is ours, the
   * ADD under way (or died); held: in use; releasing: its DEL is done here, the object is still to be ended; resting:
   * ended, and remembered so that its owner may have it back.
   */
  readonly state: 'claiming' | 'claimed' | 'held' | 'releasing' | 'resting';
  /**
   * As the API server last answered: the preconditions of its end. Absent while that is not known: of a releasing one
   * as long as an end was asked for of which nobody knows what came.
   */
  readonly object?: { readonly uid: string; readonly resourceVersion: string };
  /** Milliseconds since the epoch, by the clock of the API server where it was known. */
  readonly acquired: number;
  /** When DEL came: set while releasing and resting. */
  readonly released?: number;
  /** Until when its owner may have it back: set while resting. */
  readonly until?: number;
  /** What the definition asks for at its end. */
  readonly reuseDelaySeconds?: number;
  readonly stickySeconds?: number;
  readonly writer: Writer;
}

/** A row of the store, its record not parsed. */
export interface RawRow {
  readonly table: 'attachments' | 'interfaces' | 'leases' | 'cluster_leases' | 'copies';
  /** All but the record. */
  readonly columns: Readonly<Record<string, string | number | null>>;
  readonly record: string;
}

/**
 * Every method is one transaction unless it is called inside `transaction`. All are synchronous.
 * @throws ManifoldError 'state' when the store cannot be read or written (full disk, read-only, damaged), saying
 *   which file and what to do
 */
export interface NodeStore {
  readonly directory: string;
  /** This process, as the writer of new records. */
  readonly writer: Writer;
  /** BEGIN IMMEDIATE … COMMIT: no other process writes meanwhile. Rolls back when `work` throws. Nests. */
  transaction<T>(work: () => T): T;

  readonly attachments: {
    /** Inserts or replaces by (containerId, ifname). */
    put(record: AttachmentRecord): void;
    get(id: AttachmentId): AttachmentRecord | undefined;
    /** In order of position. */
    ofContainer(containerId: string): AttachmentRecord[];
    /** Of all sandboxes of this pod. */
    ofPod(podUid: string): AttachmentRecord[];
    all(): AttachmentRecord[];
    remove(id: AttachmentId): void;
  };

  readonly interfaces: {
    /**
     * Inserts or replaces by (containerId, ifname, network).
     * @throws ManifoldError 'device-held' naming the holder (pod, container, interface) when another record has the device
     */
    put(record: InterfaceRecord): void;
    /**
     * Inserts at the beginning of an ADD, in place of a record whose writer is dead or this one.
     * @throws ManifoldError 'try-later' naming the process when a live one has a record of the same key; 'device-held'
     */
    claim(record: InterfaceRecord): void;
    /**
     * Replaces the own record: same key, same writer.
     * @throws ManifoldError 'try-later' when it is gone or another's by now; 'device-held'
     */
    finish(record: InterfaceRecord): void;
    get(id: AttachmentId & { readonly network: string }): InterfaceRecord | undefined;
    byDevice(device: string): InterfaceRecord | undefined;
    /** Of all sandboxes of this pod. */
    ofPod(podUid: string): InterfaceRecord[];
    all(): InterfaceRecord[];
    remove(id: AttachmentId & { readonly network: string }): void;
    /** Removes the own record: same key, same writer. Another's stays. */
    removeOwn(record: InterfaceRecord): void;
  };

  readonly leases: {
    put(record: LeaseRecord): void;
    get(domain: string, address: string): LeaseRecord | undefined;
    /** All leases of an owner's interface, in any domain. */
    ofOwner(owner: string, ifname: string): LeaseRecord[];
    /** All leases of a sandbox. */
    ofContainer(containerId: string): LeaseRecord[];
    /** Those of a domain with first <= address <= last, by address. Canonical text; both of one family. */
    inRange(domain: string, first: string, last: string): LeaseRecord[];
    /** How many leases of a domain, resting ones included, lie in a range. Reads no records. */
    count(domain: string, range: AddressRange): number;
    /** The resting leases of a range, the first released first; read as they are asked for. */
    resting(domain: string, range: AddressRange): Iterable<LeaseRecord>;
    all(): LeaseRecord[];
    remove(domain: string, address: string): void;
  };

  readonly clusterLeases: {
    /**
     * Inserts where there is no record of this name, or one of the same owner, interface and network.
     * @returns false, and changes nothing, when another's is there
     */
    claim(record: ClusterLeaseRecord): boolean;
    /** Replaces by name; does nothing when there is no record of this name and owner any more. */
    update(record: ClusterLeaseRecord): void;
    get(name: string): ClusterLeaseRecord | undefined;
    /** All of an owner's interface, in any domain. */
    ofOwner(owner: string, ifname: string): ClusterLeaseRecord[];
    ofContainer(containerId: string): ClusterLeaseRecord[];
    inState(...states: readonly ClusterLeaseRecord['state'][]): ClusterLeaseRecord[];
    all(): ClusterLeaseRecord[];
    /** Removes it when it is still this owner's. */
    remove(record: Pick<ClusterLeaseRecord, 'name' | 'owner' | 'ifname'>): void;
  };

  /** What was last read of objects of the cluster that an ADD needs, by a name of the caller's: for when the API server is away. */
  readonly copies: {
    put(name: string, value: JsonObject): void;
    /** Undefined for a damaged one too: the cluster has what it is a copy of. */
    get(name: string): JsonObject | undefined;
  };

  /** Writes something and commits it: for STATUS. @throws ManifoldError as any write does; 'io' for a run directory that cannot be used */
  ensureWritable(): void;
  /** The rows as they are and what SQLite says of the file (nothing when it is sound): for checkState. */
  raw(): { readonly integrity: readonly string[]; readonly rows: readonly RawRow[] };
  /** Removes a row whatever its record is, unless it has changed since raw() showed it. @returns whether it did */
  removeRaw(row: RawRow): boolean;
  /** True when the process that wrote a record still runs, in this boot. */
  isAlive(writer: Writer): boolean;
  /** Needless before the end of a process, where it costs a flush to the disk. */
  close(): void;
}
