// The network models of examples/models, as their manifests have them: through the meta plugin and IPAM, two pods each.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { parseAllDocuments } from 'yaml';
import { metaAndDelegates } from '../../../meta/bin/meta-and-delegates.ts';
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import type { TestNetns } from '../../kit/netns.ts';
import { ping } from '../../kit/ping.ts';
import { vmCase, vmGroup } from '../case.ts';
import { CniNode, type CniOptions } from '../guest/cni-node.ts';
import { bindDriver } from '../guest/ports.ts';
import type { Vm } from '../guest/vm.ts';
import { SHARES } from '../machine/init.ts';

const NETWORKS = 'k8s.v1.cni.cncf.io/networks';
/** 4 to 10 s on a quiet machine. */
const LIMIT_MS = 180_000;

interface ModelPod {
  readonly netns: TestNetns;
  readonly options: CniOptions;
  /** The annotation that asks for networks. */
  readonly networks: string;
}

interface Address {
  readonly family: string;
  readonly local: string;
  readonly scope: string;
}

/** A node whose default network is a macvlan on a veth, with the definitions of one model. */
class Model {
  readonly #vm: Vm;
  readonly #node: CniNode;
  readonly #conf: JsonObject;
  readonly pods: readonly [ModelPod, ModelPod];

  constructor(vm: Vm, name: string) {
    this.#vm = vm;
    vm.run('ip', 'link', 'add', 'cluster0', 'type', 'veth', 'peer', 'name', 'cluster1');
    vm.defer(() => vm.run('ip', 'link', 'del', 'cluster0'));
    for (const end of ['cluster0', 'cluster1']) vm.run('ip', 'link', 'set', end, 'up');
    this.#node = new CniNode(vm, (deps) => metaAndDelegates(deps, argv[1] ?? ''));
    const directory = `${SHARES.repo}/examples/models/${name}`;
    const { manifold } = this.#node.conf({});
    const ipam = { type: 'manifold-ipam', range: '10.85.0.0/24' };
    this.#conf = {
      type: 'manifold',
      delegates: [{ cniVersion: '1.1.0', name: 'cluster', type: 'macvlan', master: 'cluster0', ipam }],
      manifold: { ...Object(manifold), networksDir: directory },
    };
    const [one, other, ...more] = parseAllDocuments(readFileSync(`${directory}/pods.yaml`, 'utf8'));
    if (one === undefined || other === undefined || more.length > 0)
      throw new Error(`${directory}/pods.yaml has not two pods`);
    this.pods = [this.#pod(one.toJS()), this.#pod(other.toJS())];
  }

  #pod({ metadata }: { metadata: { name: string; annotations: Record<string, string> } }): ModelPod {
    const networks = (metadata.annotations[NETWORKS] ?? '').replaceAll('\n', ' ');
    const args = `IgnoreUnknown=1;MANIFOLD_NETWORKS=${networks}`;
    const options = { ifname: 'eth0', podName: metadata.name, podNamespace: 'default', args };
    return { netns: this.#node.pod(), options, networks };
  }

  /** ADD and CHECK of both pods, what the case has to see, CHECK and DEL, and nothing is left. */
  async run(look: (one: ModelPod, other: ModelPod) => void | Promise<void>): Promise<void> {
    const results: JsonObject[] = [];
    for (const { netns, options } of this.pods)
      results.push(await this.#node.ok('ADD', this.#conf, netns, options));
    await this.#checkAll(results);
    await look(...this.pods);
    await this.#checkAll(results);
    for (const { netns, options } of this.pods) {
      await this.#node.ok('DEL', this.#conf, netns, options);
      deepEqual(
        netns.ip('link').map((link) => Reflect.get(Object(link), 'ifname')),
        ['lo'],
      );
    }
    this.#node.expectAsBefore();
  }

  async #checkAll(results: readonly JsonObject[]): Promise<void> {
    for (const [at, { netns, options }] of this.pods.entries())
      await this.#node.ok('CHECK', { ...this.#conf, prevResult: results[at] ?? {} }, netns, options);
  }

  /** The two pods reach each other over each of these. */
  ping(...ifnames: readonly string[]): void {
    const [one, other] = this.pods;
    for (const ifname of ifnames) {
      const to = this.address(other, ifname);
      ok(ping(one.netns.path, to), `no answer from ${to}, ${ifname}`);
      this.#vm.log(`${ifname}: ${to} answers`);
    }
  }

  address({ netns }: ModelPod, ifname: string): string {
    const [link] = netns.ip('addr', 'show', 'dev', ifname) as { addr_info: Address[] }[];
    const own = link?.addr_info.find(({ family, scope }) => family === 'inet' && scope === 'global');
    if (own === undefined) throw new Error(`${ifname} of ${netns.name} has no address`);
    return own.local;
  }
}

/** 10.30.0.1 as it ends a GID (RFC 4291 section 2.5.5.2). */
function gidEnd(address: string): string {
  const hex = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `ffff:${hex[0]}${hex[1]}:${hex[2]}${hex[3]}`;
}

export const models = vmGroup('the model', [
  vmCase(
    'RoCE, shared: macvlans on a NIC, whose RDMA device each pod uses by its own address',
    async (vm) => {
      vm.run('modprobe', 'rdma_rxe');
      vm.run('rdma', 'link', 'add', 'rxe0', 'type', 'rxe', 'netdev', 'eth0');
      vm.defer(() => vm.run('rdma', 'link', 'delete', 'rxe0'));
      const model = new Model(vm, 'roce-shared');
      await model.run(async (one, other) => {
        model.ping('eth0', 'net1');
        for (const pod of [one, other]) {
          const end = gidEnd(model.address(pod, 'net1'));
          const gids = await vm.until(`GID of ${end}`, () => {
            const text = pod.netns.exec('sh', '-c', 'grep -H . /sys/class/infiniband/rxe0/ports/1/gids/*');
            return text.includes(end) && text;
          });
          const [, index = ''] = new RegExp(`gids/(\\d+):\\S*${end}`).exec(gids) ?? [];
          const attributes = '/sys/class/infiniband/rxe0/ports/1/gid_attrs';
          equal(pod.netns.exec('cat', `${attributes}/types/${index}`).trim(), 'RoCE v2');
          equal(pod.netns.exec('cat', `${attributes}/ndevs/${index}`).trim(), 'net1');
        }
      });
    },
  ),

  vmCase(
    'SR-IOV: a function in a VLAN, and one of a user-space driver',
    async (vm) => {
      vm.run('modprobe', 'vfio-pci');
      const free = vm.ports.map((port) => port.vfAddress(1));
      for (const address of free) {
        vm.defer(() => bindDriver(address, undefined));
        bindDriver(address, 'vfio-pci');
      }
      const model = new Model(vm, 'sriov');
      await model.run((one) => {
        const mark = vm.wire.mark();
        model.ping('eth0', 'net1');
        const [link] = one.netns.ip('link', 'show', 'dev', 'net1') as { address: string }[];
        const sent = vm.wire.frames(mark).filter(({ src }) => src === link?.address);
        ok(sent.length > 0);
        deepEqual([...new Set(sent.map(({ vlan }) => `${vlan?.id} ${vlan?.priority}`))], ['100 3']);
        for (const [at, port] of vm.ports.entries()) {
          const { mac, vlan, spoofchk, trust } = port.link().vfs[1] ?? {};
          deepEqual(
            [mac, vlan, spoofchk, trust],
            [`02:00:5e:00:53:0${at === 0 ? 'a' : 'b'}`, 200, false, true],
          );
          equal(vm.sysfs.pci(port.vfAddress(1))?.driver, 'vfio-pci');
        }
      });
    },
    { limitMs: LIMIT_MS },
  ),

  vmCase(
    'PF passthrough: a whole port for each pod',
    async (vm) => {
      const names = vm.ports.map((port) => port.link().name);
      const model = new Model(vm, 'pf-passthrough');
      await model.run((one, other) => {
        for (const name of names) equal(vm.kernel.host().link({ name }), undefined);
        match(one.networks, new RegExp(vm.ports[0].address));
        match(other.networks, new RegExp(vm.ports[1].address));
        const mark = vm.wire.mark();
        model.ping('eth0', 'net1');
        ok(vm.wire.frames(mark).length > 0);
      });
      for (const port of vm.ports) await vm.until('carrier', () => port.link().running);
    },
    { limitMs: LIMIT_MS },
  ),
]);
