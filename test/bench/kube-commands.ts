// The calls that claim and release in a cluster: our plugins and Whereabouts, each as a runtime calls it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import type { Command } from './child.ts';
import { DIST } from './world.ts';

export type Side = 'manifold' | 'whereabouts';

/** A node of a cluster. */
export interface KubePlace {
  readonly kubeconfig: string;
  readonly node: string;
  /** Directory of what our plugins keep on the node. */
  readonly state: string;
}

export interface Asked {
  readonly place: KubePlace;
  readonly range: string;
  /** Its UID and its container are named after it. */
  readonly pod: string;
  /** Another sandbox of the same pod. */
  readonly container?: string;
}

export interface KubePrograms {
  /** Directory of the reference plugins. */
  readonly plugins: string;
  /** Path of Whereabouts. */
  readonly whereabouts: string;
  readonly nic: string;
  /** The pod's namespace. */
  readonly netns: string;
  /** For files of the calls. */
  readonly directory: string;
}

export interface KubeCommands {
  /** The IPAM plugin alone. */
  ipam(side: Side, verb: string, asked: Asked): Command;
  /** The reference macvlan over Whereabouts, or ours over our leases. */
  macvlan(side: Side, verb: string, asked: Asked): Command;
  /** manifold with a default network in `range` and so many more macvlans, each in a /16 of its own. */
  meta(verb: string, networks: number, asked: Asked): Command;
}

const RAILS = 8;

export function kubeCommands(programs: KubePrograms): KubeCommands {
  const { plugins, whereabouts, nic, netns, directory } = programs;
  const networksDir = join(directory, 'networks.d');
  mkdirSync(networksDir, { recursive: true });

  const options = ({ kubeconfig, node, state }: KubePlace) => ({
    stateDir: join(state, 'state'),
    runDir: join(state, 'run'),
    kubeconfig,
    nodeName: node,
  });
  const config = (side: Side, { place, range }: Asked) => {
    const head = { cniVersion: '1.0.0', name: 'bench', type: 'macvlan', master: nic };
    if (side === 'manifold')
      return { ...head, ipam: { type: 'manifold-ipam', range }, manifold: options(place) };
    // It wants a file of its own, even where the definition says all.
    const flat = { kubernetes: { kubeconfig: place.kubeconfig }, log_level: 'error' };
    const file = join(directory, `${basename(place.kubeconfig)}.conf`);
    writeFileSync(file, JSON.stringify(flat));
    return { ...head, ipam: { type: 'whereabouts', range, configuration_path: file, ...flat } };
  };
  const environment = (verb: string, { pod, container = pod }: Asked) => ({
    CNI_COMMAND: verb,
    CNI_CONTAINERID: `c-${container}`,
    CNI_IFNAME: 'net1',
    CNI_NETNS: netns,
    CNI_PATH: [plugins, dirname(whereabouts), join(DIST, 'bin')].join(delimiter),
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod}`,
  });
  for (let rail = 0; rail < RAILS; rail += 1)
    writeFileSync(
      join(networksDir, `rail${rail}.json`),
      JSON.stringify({
        apiVersion: 'k8s.cni.cncf.io/v1',
        kind: 'NetworkAttachmentDefinition',
        metadata: { name: `rail${rail}`, namespace: 'default' },
        spec: {
          config: JSON.stringify({
            ...{ cniVersion: '1.0.0', name: `rail${rail}`, type: 'macvlan', master: nic },
            ipam: { type: 'manifold-ipam', range: `10.${200 + rail}.0.0/16` },
          }),
        },
      }),
    );

  return {
    ipam: (side, verb, asked) => ({
      words: [side === 'manifold' ? join(DIST, 'bin/manifold-ipam') : whereabouts],
      env: environment(verb, asked),
      stdin: JSON.stringify(config(side, asked)),
    }),
    macvlan: (side, verb, asked) => ({
      words: [side === 'manifold' ? join(DIST, 'bin/macvlan') : join(plugins, 'macvlan')],
      env: environment(verb, asked),
      stdin: JSON.stringify(config(side, asked)),
    }),
    meta: (verb, networks, asked) => {
      const rails = Array.from({ length: networks }, (_, index) => `rail${index}`).join(',');
      const env = environment(verb, asked);
      const { manifold: _ofTheWhole, ...delegate } = { manifold: undefined, ...config('manifold', asked) };
      return {
        words: [join(DIST, 'bin/manifold')],
        env: { ...env, CNI_IFNAME: 'eth0', CNI_ARGS: `${env.CNI_ARGS};MANIFOLD_NETWORKS=${rails}` },
        stdin: JSON.stringify({
          ...{ cniVersion: '1.0.0', name: 'bench', type: 'manifold', delegates: [delegate] },
          cniDir: join(asked.place.state, 'cache'),
          manifold: { ...options(asked.place), networksDir },
        }),
      };
    },
  };
}
