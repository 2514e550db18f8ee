// An InfiniBand virtual function for tests, which no machine emulates: veth ends that the kernel's answers make out to be
// a PF and its VF, and a driver that reads the GUID when it is bound and then makes another interface.
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Kernel, Link, LinkChange, Namespace, VirtualFunction } from '../../pkg/kernel/kernel.ts';
import { createSysfs, type Sysfs } from '../../pkg/pci/sysfs.ts';
import type { TestNic } from './netns.ts';
import type { RdmaKernel } from './rdma-kernel.ts';
import type { SysfsTree } from './sysfs-tree.ts';

export const PF = '0000:3b:00.0';
export const VF = '0000:3b:10.4';
/** QPN and GID prefix of the port, in front of its GUID. */
const MAC_HEAD = '20:00:10:8b:fe:80:00:00:00:00:00:00';

export class InfinibandPort {
  readonly sysfs: Sysfs;
  readonly kernel: Kernel;
  /** What the physical function keeps. */
  vf: VirtualFunction = {
    index: 0,
    mac: Array<string>(20).fill('00').join(':'),
    vlan: 0,
    qos: 0,
    vlanProto: '802.1q',
    spoofchk: undefined,
    trust: undefined,
    linkState: 'auto',
    minTxRate: 0,
    maxTxRate: 0,
    nodeGuid: '00:11:22:33:44:55:66:77',
    portGuid: '00:11:22:33:44:55:66:77',
  };
  /** Kernels before 5.5 do not tell GUIDs. */
  tells = true;
  /** What the virtual function read when its driver was bound. */
  own = '00:11:22:33:44:55:66:77';
  /** What was asked of the physical function, in order, and "bind". */
  readonly done: string[] = [];
  bindFails = false;
  readonly #tree: SysfsTree;
  readonly #rdma: RdmaKernel;
  readonly #pf: TestNic;
  readonly #nic: TestNic;
  readonly #device: string;
  #name: string;
  #bound = 0;

  constructor(tree: SysfsTree, real: Kernel, rdma: RdmaKernel, pf: TestNic, nic: TestNic) {
    this.#tree = tree;
    this.#rdma = rdma;
    this.#pf = pf;
    this.#nic = nic;
    this.#name = nic.name;
    tree.pci(PF, { driver: 'mlx5_core', totalVfs: 4, netdevs: { [pf.name]: {} } });
    this.#device = tree.pci(VF, {
      driver: 'mlx5_core',
      netdevs: { [nic.name]: {} },
      rdmaDevices: ['mlx5_4'],
      virtualOf: [PF, 0],
    });
    const sysfs = createSysfs(tree.root);
    this.sysfs = { ...sysfs, bind: () => this.#bind() };
    this.kernel = {
      host: () => this.#patched(real.host()),
      open: (path) => this.#patched(real.open(path)),
      openIfThere: (path) => {
        const opened = real.openIfThere(path);
        return opened && this.#patched(opened);
      },
    };
  }

  /** Name of its interface on the host. */
  get name(): string {
    return this.#name;
  }

  #bind(): void {
    this.done.push('bind');
    if (this.bindFails) throw new ManifoldError('io', `Cannot bind ${VF} to mlx5_core: EIO`);
    this.own = this.vf.portGuid ?? this.own;
    this.#bound += 1;
    const before = this.#name;
    this.#name = `${this.#nic.name.slice(0, 9)}n${this.#bound}`;
    const { wire } = this.#nic;
    execFileSync('ip', ['-n', wire.name, 'link', 'del', 'wire']);
    const peer = ['type', 'veth', 'peer', 'name', 'wire', 'netns', wire.name];
    execFileSync('ip', ['link', 'add', this.#name, ...peer]);
    rmSync(join(this.#device, 'net', before), { recursive: true });
    rmSync(this.#tree.path('class/net', before));
    this.#tree.netdev(this.#device, this.#name);
    const device = this.#rdma.devices.findIndex(({ name }) => name === 'mlx5_4');
    const name = `mlx5_new${this.#bound}`;
    this.#rdma.devices.splice(device, 1, { index: 20 + this.#bound, name, place: this.kernel.host().id });
    const [shown = ''] = this.sysfs.pci(VF)?.rdmaDevices ?? [];
    renameSync(join(this.#device, 'infiniband', shown), join(this.#device, 'infiniband', name));
  }

  #patched(real: Namespace): Namespace {
    const over: Partial<Namespace> = {
      link: (ref) => this.#link(real.link(ref)),
      links: () => real.links().flatMap((link) => this.#link(link) ?? []),
      setLink: (index, change) => this.#setLink(real, index, change),
    };
    return new Proxy(real, {
      get: (target, key) => {
        const own: unknown = Reflect.get(over, key) ?? Reflect.get(target, key, target);
        return typeof own === 'function' ? own.bind(target) : own;
      },
    });
  }

  #link(link: Link | undefined): Link | undefined {
    if (link === undefined) return link;
    if (link.name === this.#pf.name) {
      const guids = this.tells ? {} : { nodeGuid: undefined, portGuid: undefined };
      return { ...link, infiniband: true, vfs: [{ ...this.vf, ...guids }] };
    }
    if (link.name !== this.#name && link.name !== 'net1') return link;
    // Named anew, it is still the one that sysfs shows.
    const mac = `${MAC_HEAD}:${this.own}`;
    return { ...link, infiniband: true, kind: undefined, mac, device: { bus: 'pci', name: VF } };
  }

  #setLink(real: Namespace, index: number, change: LinkChange): void {
    const link = this.#link(real.link({ index }));
    if (link?.infiniband && change.mac !== undefined) throw new Error('a MAC of InfiniBand was set');
    if (link?.name !== this.#pf.name || change.vf === undefined) {
      real.setLink(index, change);
      if (link?.name === this.#name && change.name !== undefined) this.#renamed(change.name);
      return;
    }
    const { index: _index, ...settings } = change.vf;
    this.done.push(JSON.stringify(settings));
    this.vf = { ...this.vf, ...settings };
  }

  #renamed(name: string): void {
    renameSync(join(this.#device, 'net', this.#name), join(this.#device, 'net', name));
    renameSync(this.#tree.path('class/net', this.#name), this.#tree.path('class/net', name));
    this.#name = name;
  }
}
