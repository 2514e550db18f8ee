// What the measured calls work on: one stand-in NIC, pods, and the commands of every kind.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { makeHostNic, makeNetns, type TestNetns } from '../kit/netns.ts';
import type { Command } from './child.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
export const DIST = join(ROOT, 'dist');
const RAILS = 8;

/** Where a plugin comes from: the words that run `name`. */
export type Form = (name: string) => readonly string[];
export const executable: Form = (name) => [join(DIST, 'bin', name)];
export const script: Form = (name) => [
  execPath,
  '--disable-warning=ExperimentalWarning',
  join(DIST, 'js', `${name}.cjs`),
];
export const reference =
  (directory: string): Form =>
  (name) => [join(directory, name)];

export type Ipam = 'static' | 'host-local' | 'manifold-ipam';

export interface World extends Disposable {
  readonly nic: string;
  readonly pods: readonly TestNetns[];
  /** macvlan alone, as a runtime calls it. */
  macvlan(form: Form, verb: string, ipam: Ipam, pod?: number): Command;
  /** manifold with the default network and so many more. */
  manifold(form: Form, verb: string, networks: number): Command;
  /** Node with nothing to do. */
  readonly nothing: Command;
}

/** @param plugins directory of the reference plugins */
export function makeWorld(plugins: string, podCount: number): World {
  const directory = mkdtempSync(join(tmpdir(), 'manifold-bench-world-'));
  const nic = makeHostNic();
  const pods = Array.from({ length: podCount }, makeNetns);
  const networksDir = join(directory, 'networks.d');
  mkdirSync(networksDir);
  const manifold = { stateDir: join(directory, 'state'), runDir: join(directory, 'run') };

  const ipamConfig = (ipam: Ipam, pod: number, subnet: number) =>
    ({
      static: { type: 'static', addresses: [{ address: `10.213.${subnet}.${pod + 10}/24` }] },
      'host-local': {
        type: 'host-local',
        ranges: [[{ subnet: `10.213.${subnet}.0/24` }]],
        dataDir: join(directory, 'host-local'),
      },
      'manifold-ipam': { type: 'manifold-ipam', range: `10.213.${subnet}.0/24` },
    })[ipam];
  const macvlanConfig = (ipam: Ipam, pod: number, subnet: number, ours: boolean) => ({
    cniVersion: '1.0.0',
    name: `bench-${ipam}-${subnet}`,
    type: 'macvlan',
    master: nic.name,
    ipam: ipamConfig(ipam, pod, subnet),
    ...(ours && { manifold }),
  });
  for (let rail = 0; rail < RAILS; rail += 1)
    writeFileSync(
      join(networksDir, `rail${rail}.json`),
      JSON.stringify({
        apiVersion: 'k8s.cni.cncf.io/v1',
        kind: 'NetworkAttachmentDefinition',
        metadata: { name: `rail${rail}`, namespace: 'default' },
        spec: { config: JSON.stringify(macvlanConfig('manifold-ipam', 0, 100 + rail, true)) },
      }),
    );

  const environment = (verb: string, pod: number, ifname: string) => ({
    CNI_COMMAND: verb,
    CNI_CONTAINERID: `bench-pod-${pod}`,
    CNI_IFNAME: ifname,
    CNI_NETNS: pods[pod]?.path ?? '',
    CNI_PATH: `${plugins}:${join(DIST, 'bin')}`,
  });

  return {
    nic: nic.name,
    pods,
    macvlan: (form, verb, ipam, pod = 0) => ({
      words: form('macvlan'),
      env: environment(verb, pod, 'net1'),
      stdin: JSON.stringify(macvlanConfig(ipam, pod, 1, form === executable || form === script)),
    }),
    manifold: (form, verb, networks) => {
      const rails = Array.from({ length: networks }, (_, index) => `rail${index}`);
      return {
        words: form('manifold'),
        env: {
          ...environment(verb, 0, 'eth0'),
          CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench;K8S_POD_UID=bench-uid;MANIFOLD_NETWORKS=${rails.join(',')}`,
        },
        stdin: JSON.stringify({
          cniVersion: '1.0.0',
          name: 'bench',
          type: 'manifold',
          delegates: [macvlanConfig('manifold-ipam', 0, 99, true)],
          cniDir: join(directory, 'cache'),
          manifold: { ...manifold, networksDir },
        }),
      };
    },
    nothing: { words: [execPath, '-e', '0'], env: {}, stdin: '' },
    [Symbol.dispose]: () => {
      for (const pod of pods) pod[Symbol.dispose]();
      nic[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
