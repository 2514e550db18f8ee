// A node on which `manifold` is called as a runtime does: a default network, definitions, pods, and what they show.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import type { AttachmentRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { type CallOptions, DIST_BIN, type Outcome, TestNode } from './test-node.ts';

export interface MetaCall extends CallOptions {
  /** Pod UID; by default "uid-<pod>". Empty: none. */
  readonly uid?: string;
  /** Value of MANIFOLD_NETWORKS. */
  readonly networks?: string;
  /** Keys of the configuration of manifold, over the node's own. */
  readonly conf?: JsonObject;
}

export class MetaNode extends TestNode {
  readonly networksDir = join(this.directory, 'networks.d');
  readonly binDir = join(this.directory, 'bin');
  /** Where libcni's cache of results lies. */
  readonly cniDir = join(this.directory, 'cache');
  /** The networks of every pod. */
  delegates: readonly JsonObject[] = [
    this.macvlan({
      name: 'cluster',
      range: '10.1.0.0/24',
      gateway: '10.1.0.1',
      routes: [{ dst: '0.0.0.0/0' }],
    }),
  ];

  constructor() {
    super();
    for (const directory of [this.networksDir, this.binDir]) mkdirSync(directory);
    this.addNic('nic0');
  }

  /** A macvlan over nic0 with addresses of our own IPAM. */
  macvlan({ name, ...ipam }: JsonObject): JsonObject {
    return {
      cniVersion: '1.1.0',
      ...(name !== undefined && { name }),
      type: 'macvlan',
      master: 'nic0',
      capabilities: { ips: true, mac: true },
      ipam: { type: 'manifold-ipam', ...ipam },
    };
  }

  /** Writes a NetworkAttachmentDefinition. */
  define(namespace: string, name: string, config?: JsonObject): void {
    const manifest = {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { namespace, name },
      ...(config && { spec: { config: JSON.stringify(config) } }),
    };
    writeFileSync(join(this.networksDir, `${namespace}-${name}.json`), JSON.stringify(manifest));
  }

  /** Defines rail0, rail1, … in "default", each with a range of its own, and returns the request for them. */
  defineRails(count: number): string {
    const names = Array.from({ length: count }, (_, index) => `rail${index}`);
    for (const [index, name] of names.entries())
      this.define('default', name, this.macvlan({ range: `10.2.${index}.0/24` }));
    return names.join(', ');
  }

  conf(more: JsonObject = {}): JsonObject {
    const { manifold, ...keys } = more;
    return {
      cniVersion: '1.1.0',
      name: 'pods',
      type: 'manifold',
      ...('clusterNetwork' in keys ? {} : { delegates: this.delegates }),
      cniDir: this.cniDir,
      ...keys,
      manifold: { ...this.manifold, networksDir: this.networksDir, ...(manifold as JsonObject) },
    };
  }

  manifoldCall(verb: Verb, pod: string, options: MetaCall = {}): Promise<Outcome> {
    const { uid = `uid-${pod}`, networks, conf, ...rest } = options;
    const args = [
      'IgnoreUnknown=1',
      'K8S_POD_NAMESPACE=default',
      `K8S_POD_NAME=${pod}`,
      ...(uid === '' ? [] : [`K8S_POD_UID=${uid}`]),
      ...(networks === undefined ? [] : [`MANIFOLD_NETWORKS=${networks}`]),
    ].join(';');
    return this.call('manifold', verb, this.conf(conf), {
      pod,
      ifname: 'eth0',
      args,
      ...rest,
      env: { CNI_PATH: `${this.binDir}:${DIST_BIN}`, ...rest.env },
    });
  }

  /** Calls that are about no pod: STATUS and GC. */
  nodeCall(verb: 'STATUS' | 'GC', conf: JsonObject = {}): Promise<Outcome> {
    return this.call('manifold', verb, this.conf(conf), { env: { CNI_PATH: `${this.binDir}:${DIST_BIN}` } });
  }

  /** Names of the pod's interfaces, in the order in which they were made. */
  interfaces(pod: string): string[] {
    return this.links(pod).map((link) => link.ifname);
  }

  /** The pod's addresses of global scope, as "net1 10.2.0.1/24". */
  addresses(pod: string): string[] {
    return this.links(pod).flatMap((link) =>
      link.addr_info
        .filter((address) => address.scope === 'global')
        .map((address) => `${link.ifname} ${address.local}/${address.prefixlen}`),
    );
  }

  read<T>(work: (store: NodeStore) => T): T {
    const store = openNodeStore(this.stateDir, { runDirectory: this.runDir });
    try {
      return work(store);
    } finally {
      store.close();
    }
  }

  journal(): AttachmentRecord[] {
    return this.read((store) => store.attachments.all()).sort((a, b) => a.position - b.position);
  }

  /** Addresses that are claimed or held, sorted. */
  leased(): string[] {
    const leases = this.read((store) => store.leases.all());
    return leases
      .filter((lease) => lease.state !== 'resting')
      .map((lease) => `${lease.address} ${lease.state}`)
      .sort();
  }
}
