// Which cluster a command is about, and as whom it is asked: the first of the places where people and nodes keep that.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { createKubeClient } from '../../pkg/kube/create-kube-client.ts';
import { inClusterAccess } from '../../pkg/kube/in-cluster.ts';
import type { KubeAccess } from '../../pkg/kube/kube-access.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import { readKubeconfig } from '../../pkg/kube/kubeconfig.ts';

export interface ClusterChoice {
  /** As given with --kubeconfig. */
  readonly kubeconfig: string | undefined;
  /** Where the CNI configurations of this node are, one of which may name a kubeconfig. */
  readonly confDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface FoundCluster {
  readonly access: KubeAccess;
  /** What named it: "--kubeconfig", "/etc/cni/net.d/00-manifold.conf". */
  readonly namedBy: string;
}

/** @throws ManifoldError 'not-found' when nothing names one; KubeError Credentials for a kubeconfig that is of no use */
async function findCluster({ kubeconfig, confDir, env }: ClusterChoice): Promise<FoundCluster> {
  if (kubeconfig !== undefined) return { access: await readKubeconfig(kubeconfig), namedBy: '--kubeconfig' };
  if (env.KUBECONFIG)
    return { access: await readKubeconfig(firstOf(env.KUBECONFIG)), namedBy: '$KUBECONFIG' };
  const named = kubeconfigOfNode(confDir);
  if (named !== undefined) return { access: await readKubeconfig(named.kubeconfig), namedBy: named.file };
  if (env.KUBERNETES_SERVICE_HOST)
    return { access: inClusterAccess(env), namedBy: 'the pod that this runs in' };
  const own = env.HOME === undefined ? undefined : join(env.HOME, '.kube/config');
  if (own !== undefined && existsSync(own))
    return { access: await readKubeconfig(own), namedBy: 'the home directory' };
  throw new ManifoldError('not-found', 'Cannot find a cluster: nothing here names a kubeconfig', {
    hint: 'Name one with --kubeconfig FILE or KUBECONFIG. The addresses of a node without a cluster: manifold status.',
  });
}

/** kubectl merges them; the first that is there is mostly the one that is meant. */
function firstOf(list: string): string {
  const files = list.split(':').filter((file) => file !== '');
  return files.find((file) => existsSync(file)) ?? files[0] ?? list;
}

function kubeconfigOfNode(
  confDir: string,
): { readonly file: string; readonly kubeconfig: string } | undefined {
  for (const name of namesIn(confDir).sort()) {
    const file = join(confDir, name);
    const kubeconfig = kubeconfigIn(jsonOf(file));
    if (kubeconfig !== undefined) return { file, kubeconfig };
  }
  return undefined;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /\.(conf|conflist|json)$/.test(name));
  } catch (error) {
    // Where people sit there is no such directory, or not for them.
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    // Another tool's file, in any shape and for any reader.
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return undefined;
    throw error;
  }
}

/** Ours is `manifold.kubeconfig`; Multus has `kubeconfig`, Whereabouts `ipam.kubernetes.kubeconfig`. */
function kubeconfigIn(value: unknown): string | undefined {
  if (!isJsonObject(value)) return undefined;
  const own = [
    isJsonObject(value.manifold) ? value.manifold.kubeconfig : undefined,
    value.kubeconfig,
    isJsonObject(value.ipam) && isJsonObject(value.ipam.kubernetes)
      ? value.ipam.kubernetes.kubeconfig
      : undefined,
  ].find((one): one is string => typeof one === 'string' && one !== '');
  if (own !== undefined) return own;
  const nested = [value.plugins, value.delegates].flatMap((list) => (Array.isArray(list) ? list : []));
  return nested.map(kubeconfigIn).find((one) => one !== undefined);
}

/** Errors of the API server say which cluster was asked, and why that one. @param said told which it is */
export async function withCluster<T>(
  choice: ClusterChoice,
  said: (line: string) => void,
  work: (client: KubeClient, cluster: FoundCluster) => Promise<T>,
): Promise<T> {
  const cluster = await findCluster(choice);
  const { access, namedBy } = cluster;
  said(`Cluster: ${access.server} as ${access.user || 'nobody'} (${access.source}, named by ${namedBy})`);
  const client = createKubeClient(access, { userAgent: 'manifold-cli' });
  try {
    return await work(client, cluster);
  } catch (error) {
    if (!isKubeError(error)) throw error;
    const where = `Asked was ${access.server} (${access.source}, named by ${namedBy}).`;
    const hint = error.hint === undefined ? where : `${error.hint} ${where}`;
    throw new ManifoldError(error.code, error.message, { hint, cause: error });
  } finally {
    client.close();
  }
}
