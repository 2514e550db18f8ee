// A sysfs for tests, in a temporary directory: devices under devices/, found through links as in the real one.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

export interface TreeNetdev {
  readonly [attribute: string]: string;
}

export interface TreePci {
  readonly vendor?: string;
  readonly device?: string;
  readonly class?: string;
  readonly driver?: string;
  readonly numaNode?: number;
  readonly iommuGroup?: string;
  readonly totalVfs?: number;
  readonly netdevs?: Readonly<Record<string, TreeNetdev>>;
  readonly rdmaDevices?: readonly string[];
  /** Address of the physical function, which is in the tree already, and the number that this one has there. */
  readonly virtualOf?: readonly [address: string, index: number];
}

export class SysfsTree implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'manifold-sysfs-'));
  readonly #vfs = new Map<string, number>();

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /** @param under the bus that it stands on, below devices/ */
  pci(address: string, what: TreePci = {}, under = 'pci0000:3a'): string {
    const at = this.path('devices', under, address);
    mkdirSync(at, { recursive: true });
    this.link(this.path('bus/pci/devices', address), at);
    const write = (name: string, text: string) => writeFileSync(join(at, name), `${text}\n`);
    write('vendor', `0x${what.vendor ?? '8086'}`);
    write('device', `0x${what.device ?? '10c9'}`);
    write('class', `0x${what.class ?? '020000'}`);
    write('numa_node', String(what.numaNode ?? -1));
    if (what.driver !== undefined) this.link(join(at, 'driver'), this.driver(what.driver));
    if (what.iommuGroup !== undefined) {
      const group = this.path('kernel/iommu_groups', what.iommuGroup);
      mkdirSync(group, { recursive: true });
      this.link(join(at, 'iommu_group'), group);
    }
    if (what.totalVfs !== undefined) {
      write('sriov_totalvfs', String(what.totalVfs));
      write('sriov_numvfs', '0');
    }
    for (const [name, attributes] of Object.entries(what.netdevs ?? {})) this.netdev(at, name, attributes);
    for (const name of what.rdmaDevices ?? []) mkdirSync(join(at, 'infiniband', name), { recursive: true });
    if (what.virtualOf !== undefined) this.#attach(at, ...what.virtualOf);
    return at;
  }

  /** @param device directory of the device, or of a function below it */
  netdev(device: string, name: string, attributes: TreeNetdev = {}): void {
    const at = join(device, 'net', name);
    mkdirSync(at, { recursive: true });
    for (const [attribute, text] of Object.entries(attributes))
      writeFileSync(join(at, attribute), `${text}\n`);
    this.link(this.path('class/net', name), at);
    this.link(join(at, 'device'), device);
  }

  auxiliary(name: string, parent: string, sfNumber?: number): string {
    const at = join(parent, name);
    mkdirSync(at, { recursive: true });
    this.link(this.path('bus/auxiliary/devices', name), at);
    if (sfNumber !== undefined) writeFileSync(join(at, 'sfnum'), `${sfNumber}\n`);
    return at;
  }

  driver(name: string): string {
    const at = this.path('bus/pci/drivers', name);
    mkdirSync(at, { recursive: true });
    return at;
  }

  /** A relative link, as sysfs has them. */
  link(from: string, to: string): void {
    mkdirSync(dirname(from), { recursive: true });
    symlinkSync(relative(dirname(from), to), from);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }

  #attach(at: string, pf: string, index: number): void {
    const pfDirectory = join(dirname(at), pf);
    this.link(join(at, 'physfn'), pfDirectory);
    this.link(join(pfDirectory, `virtfn${index}`), at);
    const count = (this.#vfs.get(pf) ?? 0) + 1;
    this.#vfs.set(pf, count);
    writeFileSync(join(pfDirectory, 'sriov_numvfs'), `${count}\n`);
  }
}
