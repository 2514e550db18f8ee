// The kernel's RDMA devices as the rest of Manifold sees them, in the words of NETLINK_RDMA.
// This file is types only.
import type { Namespace } from './kernel.ts';

/**
 * shared: every namespace sees every RDMA device, and may use it through the GIDs of its own interfaces.
 * exclusive: an RDMA device is seen in one namespace, and can be moved to another.
 */
export type RdmaMode = 'shared' | 'exclusive';

export interface RdmaDevice {
  /** Of the whole system: stays the same in another namespace and under another name, and is never given twice. */
  readonly index: number;
  /** "mlx5_2": one of the whole system, too. */
  readonly name: string;
  readonly ports: number;
  /** "0200:5eff:fe00:5301", as sysfs writes it. */
  readonly nodeGuid: string;
  /** "roce", "ib", "iw"; undefined where the kernel does not tell (before 5.2). */
  readonly protocol: string | undefined;
}

export interface RdmaPort {
  /** From 1. */
  readonly number: number;
  /** The interface of this namespace that it belongs to; undefined for InfiniBand, and for another namespace's. */
  readonly netdev: { readonly index: number; readonly name: string } | undefined;
}

/** The RDMA subsystem as one namespace sees it. A kernel without it (module ib_core) has no device, and is shared. */
export interface Rdma {
  /** Of the whole system. */
  mode(): RdmaMode;
  /** @throws ManifoldError 'kernel' with EBUSY while there is any network namespace beside the first */
  setMode(mode: RdmaMode): void;
  /** Those that this namespace sees. */
  devices(): RdmaDevice[];
  ports(device: number): RdmaPort[];
  /** @throws ManifoldError 'exists' when another device has the name, in whatever namespace */
  rename(device: number, name: string): void;
  /**
   * Moves a device of this namespace, under its name, to another. Programs that have it open lose it.
   * @throws ManifoldError 'unsupported-field' in shared mode, and for a driver that cannot take a device from its users
   */
  move(device: number, target: Namespace): void;
}

export type OpenRdma = (namespace: Namespace) => Rdma;
