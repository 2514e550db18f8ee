// A port of the emulated NIC: a physical function and its virtual ones.
import { writeFile } from 'node:fs/promises';
import type { Kernel, Link } from '../../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../../pkg/pci/sysfs.ts';
import { soon } from './wait.ts';

/** igb has no more. */
export const VFS_PER_PORT = 7;

export class Port {
  readonly #kernel: Kernel;
  readonly #sysfs: Sysfs;
  /** "0000:01:00.0" */
  readonly address: string;

  constructor(kernel: Kernel, sysfs: Sysfs, address: string) {
    this.#kernel = kernel;
    this.#sysfs = sysfs;
    this.address = address;
  }

  /** The physical function's interface, read now, with its `vfs`. */
  link(): Link {
    const link = this.findLink();
    if (link === undefined) throw new Error(`No interface of ${this.address}`);
    return link;
  }

  /** Undefined while it is elsewhere or has none. */
  findLink(): Link | undefined {
    const [netdev] = this.#sysfs.pci(this.address)?.netdevs ?? [];
    return netdev && this.#kernel.host().link({ name: netdev.name });
  }

  /** PCI address of a virtual function: 0 to 6. */
  vfAddress(index: number): string {
    const slot = this.#sysfs.virtualFunctions(this.address).find((vf) => vf.index === index);
    if (slot === undefined) throw new Error(`No virtual function ${index} of ${this.address}`);
    return slot.address;
  }

  /** Its interface in the host's namespace; undefined while it is elsewhere or has none. */
  vfLink(index: number): Link | undefined {
    const [netdev] = this.#sysfs.pci(this.vfAddress(index))?.netdevs ?? [];
    return netdev && this.#kernel.host().link({ name: netdev.name });
  }

  /** Its interface, which must be in the host's namespace. */
  homeVf(index: number): Link {
    const link = this.vfLink(index);
    if (link === undefined)
      throw new Error(`Virtual function ${index} of ${this.address} is not in the host`);
    return link;
  }

  /**
   * Removes all of them and makes `count` anew, with their interfaces. igb sleeps for seconds meanwhile: two ports at
   * once take no longer than one.
   */
  async makeVfs(count = VFS_PER_PORT): Promise<void> {
    await this.#setNumVfs(0);
    await this.#setNumVfs(count);
    await this.vfInterfaces(count);
  }

  /** Waits for the interfaces of as many virtual functions. */
  async vfInterfaces(count = VFS_PER_PORT): Promise<void> {
    for (let index = 0; index < count; index += 1)
      await soon(`interface of VF ${index} of ${this.address}`, () => this.vfLink(index));
  }

  async #setNumVfs(count: number): Promise<void> {
    if (this.#sysfs.pci(this.address)?.sriov?.numVfs === count) return;
    await writeFile(`/sys/bus/pci/devices/${this.address}/sriov_numvfs`, String(count));
  }
}
