// Where kube-apiserver, etcd and kubectl come from: the developer's own, or built once from pinned modules.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { buildGoPrograms } from '../go-module.ts';
import { type KubernetesVersion, NEWEST, wantedVersion } from './kubernetes-version.ts';

const PROGRAMS = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
};

/** Paths of executables. */
export interface Binaries {
  readonly etcd: string;
  readonly apiServer: string;
  readonly kubectl: string;
}

/**
 * In this order: MANIFOLD_TEST_KUBERNETES (a version), KUBEBUILDER_ASSETS (a directory), the newest version.
 * @throws Error where a file is missing, or there is neither KUBEBUILDER_ASSETS nor Go
 */
export async function controlPlaneBinaries(): Promise<Binaries> {
  const wanted = wantedVersion();
  const assets = env.KUBEBUILDER_ASSETS;
  const takeAssets = wanted === undefined && assets !== undefined && assets !== '';
  const directory = takeAssets ? assets : await builtKubernetes(wanted ?? NEWEST);
  const path = (name: keyof typeof PROGRAMS): string => {
    const file = join(directory, name);
    if (existsSync(file)) return file;
    throw new Error(`Cannot find ${name} in ${directory} (KUBEBUILDER_ASSETS)`);
  };
  return { etcd: path('etcd'), apiServer: path('kube-apiserver'), kubectl: path('kubectl') };
}

async function builtKubernetes(version: KubernetesVersion): Promise<string> {
  const [major = '', minor = ''] = version.split('.');
  const variables = 'k8s.io/component-base/version';
  return buildGoPrograms({
    module: `kubernetes-${version}`,
    programs: PROGRAMS,
    // Without them the API server reports v0.0.0.
    values: {
      [`${variables}.gitVersion`]: `v${version}`,
      [`${variables}.gitMajor`]: major,
      [`${variables}.gitMinor`]: minor,
    },
    cost: '(once: 5 to 15 minutes, 3 GB of memory, 4 GB of disk; KUBEBUILDER_ASSETS would save it)',
    instead: '; or set KUBEBUILDER_ASSETS to a directory with kube-apiserver, etcd and kubectl',
  });
}
