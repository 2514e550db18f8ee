// The kernel as the rest of Manifold sees it: network namespaces and what is in them, in rtnetlink's words.
// This file is types only. All calls are synchronous: a CNI program is one call, and a long-lived process
// runs calls in worker threads (setns(2) moves a thread, not a process).

/** A MAC in lower case with colons: "02:00:5e:00:53:01". */
export type Mac = string;
/** Address with prefix length, canonical text: "10.1.2.3/24", "2001:db8::1/64". */
export type Cidr = string;

export interface Kernel {
  /** The namespace of this process: one object for all callers, on which close() does nothing. */
  host(): Namespace;
  /**
   * Opens a network namespace by path.
   * @throws ManifoldError 'bad-netns' when nothing is there or it is no network namespace
   */
  open(path: string): Namespace;
  /** As open, but undefined when the path is missing or (a plain file left by an unmount) is no namespace. */
  openIfThere(path: string): Namespace | undefined;
}

/** One network namespace, held open by a descriptor: it cannot vanish until close(). */
export interface Namespace {
  /** The path it was opened by; undefined for the host. */
  readonly path: string | undefined;
  /** Identity that survives renaming: "<dev>:<inode>" of the nsfs file. */
  readonly id: string;

  links(): Link[];
  /** By index, or by name (alternative names match too, as in `ip link show`). */
  link(ref: { readonly index: number } | { readonly name: string }): Link | undefined;

  /** Creates a macvlan over a parent of THIS namespace in `target`, at once under its final name, down. */
  createMacvlan(macvlan: NewMacvlan, target: Namespace): Link;
  /** Creates a veth pair: one end here, the other in `peerTarget`, both down. */
  createVeth(veth: { readonly name: string; readonly peer: string }, peerTarget: Namespace): void;
  setLink(index: number, change: LinkChange): void;
  /**
   * Moves a link to another namespace and renames it there in one message. It arrives down and without addresses.
   * When that is refused (the name is taken there: 'exists') it stays, though maybe down.
   * @returns its index there (the kernel picks another where the old one is taken)
   */
  moveLink(index: number, target: Namespace, change?: { readonly name?: string }): number;
  /** Deletes links together (one RCU wait for all, by link group). Missing ones are no error. */
  deleteLinks(indexes: readonly number[]): void;

  addresses(index?: number): Address[];
  /** An address that is there already is no error. */
  addAddress(index: number, address: NewAddress): void;
  /** What is not there (address or link) is no error; the same goes for the other removals. */
  removeAddress(index: number, cidr: Cidr): void;

  routes(): Route[];
  /** Appends (NLM_F_APPEND), so that a second route to one destination is ECMP for IPv6. Same route: no error. */
  addRoute(route: NewRoute): void;
  removeRoute(route: NewRoute): void;

  neighbours(index?: number): Neighbour[];
  /** Replaces an entry for the same address. */
  addNeighbour(neighbour: Neighbour): void;
  removeNeighbour(neighbour: Neighbour): void;

  rules(family: 4 | 6): Rule[];
  /** The same rule: no error. */
  addRule(rule: Rule): void;
  removeRule(rule: Rule): void;

  /** Reads /proc/sys/<path> as this namespace sees it; undefined where the kernel has no such file. */
  readSysctl(path: string): string | undefined;
  writeSysctl(path: string, value: string): void;

  /**
   * Waits until no IPv6 address of the link is tentative.
   * @throws ManifoldError 'kernel' when duplicate address detection failed for one, or the time is over
   */
  waitForDad(index: number, timeoutMs: number): void;
  /**
   * Tells the neighbours who has these addresses now: gratuitous ARP, unsolicited neighbour advertisement.
   * Waits up to `carrierMs` for carrier. Failures are returned as text, never thrown.
   */
  announce(index: number, addresses: readonly Cidr[], options: AnnounceOptions): string[];

  close(): void;
}

export interface AnnounceOptions {
  readonly times: number;
  readonly carrierMs: number;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mac: Mac | undefined;
  /** IFLA_PERM_ADDRESS: what the hardware says. */
  readonly permMac: Mac | undefined;
  readonly mtu: number;
  readonly maxMtu: number;
  readonly up: boolean;
  /** IFF_LOWER_UP: carrier. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** ARPHRD_INFINIBAND: IPoIB, whose MAC has 20 bytes and is not ours to set. */
  readonly infiniband: boolean;
  readonly promisc: boolean;
  readonly allmulti: boolean;
  readonly multicast: boolean;
  readonly arp: boolean;
  readonly txQueueLength: number;
  readonly group: number;
  readonly alias: string | undefined;
  readonly altnames: readonly string[];
  /** IFLA_INFO_KIND: "macvlan", "veth", …; undefined for hardware. */
  readonly kind: string | undefined;
  /** IFLA_LINK: index of the parent (in the namespace `parentNetnsId` when that is set). */
  readonly parentIndex: number | undefined;
  readonly parentNetnsId: number | undefined;
  /** IFLA_MASTER: the bridge or bond that it is a port of. */
  readonly masterIndex: number | undefined;
  /** IFLA_PARENT_DEV_NAME and _BUS_NAME: "0000:3b:00.2" on "pci". */
  readonly device: { readonly bus: string; readonly name: string } | undefined;
  /** IFLA_PHYS_PORT_NAME: "p0", "pf0vf3"; tells apart the interfaces of one device. */
  readonly portName: string | undefined;
  /** IFLA_PHYS_PORT_ID in hexadecimal: of a device with several ports. */
  readonly portId: string | undefined;
  readonly macvlan: { readonly mode: MacvlanMode; readonly bcQueueLength: number | undefined } | undefined;
  /** IFLA_VFINFO_LIST of a physical function; only from link(), empty in links(). */
  readonly vfs: readonly VirtualFunction[];
}

export type MacvlanMode = 'bridge' | 'private' | 'vepa' | 'passthru' | 'source';

export interface VirtualFunction {
  readonly index: number;
  readonly mac: Mac;
  readonly vlan: number;
  readonly qos: number;
  readonly vlanProto: '802.1q' | '802.1ad';
  readonly spoofchk: boolean | undefined;
  readonly trust: boolean | undefined;
  readonly linkState: 'auto' | 'enable' | 'disable' | undefined;
  readonly minTxRate: number;
  readonly maxTxRate: number;
  /** InfiniBand, "02:00:5e:00:00:00:53:01", zero for none; undefined for Ethernet, and before Linux 5.5. */
  readonly nodeGuid: string | undefined;
  readonly portGuid: string | undefined;
}

export interface NewMacvlan {
  readonly name: string;
  readonly parentIndex: number;
  readonly mode: MacvlanMode;
  readonly mac?: Mac;
  readonly mtu?: number;
  readonly bcQueueLength?: number;
}

/** Only what is given is changed. */
export interface LinkChange {
  readonly name?: string;
  readonly mac?: Mac;
  readonly mtu?: number;
  readonly up?: boolean;
  readonly promisc?: boolean;
  readonly allmulti?: boolean;
  readonly multicast?: boolean;
  readonly arp?: boolean;
  readonly txQueueLength?: number;
  readonly group?: number;
  /** Makes it a port of that bridge, bond or VRF. */
  readonly masterIndex?: number;
  /** An empty string clears it. */
  readonly alias?: string;
  readonly addAltnames?: readonly string[];
  readonly removeAltnames?: readonly string[];
  readonly vf?: Partial<VirtualFunction> & { readonly index: number };
}

export interface Address {
  readonly index: number;
  readonly cidr: Cidr;
  readonly scope: number;
  readonly flags: readonly ('permanent' | 'tentative' | 'dadfailed' | 'nodad' | 'secondary')[];
}

export interface NewAddress {
  readonly cidr: Cidr;
  /** IFA_F_NODAD: the address is usable at once. */
  readonly nodad?: boolean;
}

export interface Route {
  /** "0.0.0.0/0" and "::/0" for the default route. */
  readonly dst: Cidr;
  readonly gateway: string | undefined;
  readonly index: number | undefined;
  readonly source: string | undefined;
  readonly priority: number;
  readonly table: number;
  /** rtnetlink's number: 0 universe, 253 link, 254 host. */
  readonly scope: number;
  /** rtnetlink's number: 1 unicast, 2 local, … */
  readonly type: number;
  readonly protocol: number;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
}

export interface NewRoute {
  readonly dst: Cidr;
  readonly gateway?: string;
  readonly index: number;
  readonly source?: string;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
  /** rtnetlink's number. @default 3, boot: as `ip route add` does */
  readonly protocol?: number;
  readonly mtu?: number;
  readonly advmss?: number;
}

export interface Neighbour {
  readonly index: number;
  readonly address: string;
  readonly mac: Mac | undefined;
  readonly permanent: boolean;
}

export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number | undefined;
  readonly from: Cidr | undefined;
  readonly to: Cidr | undefined;
  readonly table: number;
  readonly iif: string | undefined;
  readonly oif: string | undefined;
}
