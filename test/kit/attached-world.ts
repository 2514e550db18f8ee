// One node with what a program attaches, and what must hold before, while and after it is attached: for tests that
// break a call in the middle.
import { expect } from 'vitest';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { expectClean, expectNoFiles } from './clean.ts';
import { type CallOptions, type IpLink, type Outcome, TestNode } from './test-node.ts';

export type ProgramName = 'macvlan' | 'host-device' | 'manifold' | 'manifold-ipam';

interface Shape {
  readonly conf: (node: TestNode) => JsonObject;
  /** CNI_IFNAME. */
  readonly ifname: string;
  /** What the pod has after ADD. */
  readonly interfaces: readonly string[];
  readonly leases: number;
}

const ipam = (range: string): JsonObject => ({ type: 'manifold-ipam', range });

const SHAPES: Readonly<Record<ProgramName, Shape>> = {
  macvlan: {
    conf: () => ({ name: 'rail', type: 'macvlan', master: 'eth0', ipam: ipam('10.20.0.0/24') }),
    ifname: 'net1',
    interfaces: ['net1'],
    leases: 1,
  },
  'host-device': {
    conf: () => ({ name: 'fabric', type: 'host-device', device: 'eth5', ipam: ipam('172.30.0.0/24') }),
    ifname: 'net1',
    interfaces: ['net1'],
    leases: 1,
  },
  /** As a foreign main plugin execs it: it is told nothing of the interface. */
  'manifold-ipam': {
    conf: () => ({ name: 'rail', type: 'bridge', ipam: ipam('10.20.0.0/24') }),
    ifname: 'net1',
    interfaces: [],
    leases: 1,
  },
  manifold: {
    conf: () => ({
      name: 'pods',
      type: 'manifold',
      delegates: [
        { cniVersion: '1.1.0', name: 'default', type: 'macvlan', master: 'eth0', ipam: ipam('10.20.0.0/24') },
        {
          cniVersion: '1.1.0',
          name: 'rail',
          type: 'macvlan',
          master: 'eth0',
          ipam: { type: 'manifold-ipam', ipRanges: [{ range: '10.21.0.0/24' }, { range: 'fd00:21::/64' }] },
        },
        {
          cniVersion: '1.1.0',
          name: 'fabric',
          type: 'host-device',
          device: 'eth5',
          ipam: ipam('172.30.0.0/24'),
        },
      ],
    }),
    ifname: 'eth0',
    interfaces: ['eth0', 'net1', 'net2'],
    leases: 4,
  },
};

/** Pods a and b are two sandboxes of one pod. */
export class AttachedWorld {
  readonly node = new TestNode();
  readonly program: ProgramName;
  readonly shape: Shape;
  readonly conf: JsonObject;
  private readonly device: IpLink | undefined;

  constructor(program: ProgramName) {
    this.program = program;
    this.shape = SHAPES[program];
    this.node.addNic('eth0');
    this.node.addNic('eth5');
    this.node.ip('link', 'set', 'eth5', 'mtu', '1400');
    this.node.addPod('a');
    this.node.addPod('b');
    this.conf = {
      cniVersion: '1.1.0',
      ...this.shape.conf(this.node),
      manifold: { ...this.node.manifold, networksDir: this.node.directory },
    };
    this.device = this.onHost();
  }

  private onHost(): IpLink | undefined {
    return this.node.links().find((link) => link.ifname === 'eth5');
  }

  call(verb: 'ADD' | 'DEL', pod: string, options: CallOptions = {}): Promise<Outcome> {
    return this.node.call(this.program, verb, this.conf, {
      pod,
      ifname: this.shape.ifname,
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=team;K8S_POD_NAME=trainer;K8S_POD_UID=uid-1',
      ...options,
    });
  }

  /** GC of a node without a sandbox. */
  collect(): Promise<Outcome> {
    return this.node.call(this.program, 'GC', { ...this.conf, 'cni.dev/valid-attachments': [] });
  }

  /** The pod has what ADD promises, once. */
  expectAttached(pod: string): void {
    const names = this.node.links(pod).map((link) => link.ifname);
    expect(names.sort()).toEqual([...this.shape.interfaces]);
    const store = openNodeStore(this.node.stateDir);
    try {
      const held = store.leases.all().filter((lease) => lease.state !== 'resting');
      expect(held).toHaveLength(this.shape.leases);
      for (const lease of held) expect(lease).toMatchObject({ state: 'held', containerId: `c-${pod}` });
      for (const record of store.interfaces.all())
        expect(record).toMatchObject({ state: 'added', containerId: `c-${pod}` });
    } finally {
      store.close();
    }
  }

  /** Nothing is left of it: in the pods, on the node, in the store; the device is what it was. */
  expectGone(): void {
    expect(this.node.links('a')).toEqual([]);
    expect(this.node.links('b')).toEqual([]);
    // The kernel may give a moved link another index.
    const { addr_info: _now, ifindex: _nowIndex, ...now } = this.onHost() ?? {};
    const { addr_info: _then, ifindex: _thenIndex, ...before } = this.device ?? {};
    expect(now).toEqual(before);
    expectClean(this.node);
    expectNoFiles(this.node);
  }

  close(): void {
    this.node.close();
  }
}
