// The IPPools that a configuration names, for the pod that asks: the plugin and the claims of a whole pod read them alike.
import { podOf } from '../pkg/attach/deps.ts';
import { type Claimant, ownerOf } from './claims.ts';
import type { IpamConfig } from './config.ts';
import { nodeNameOf } from './node-name.ts';
import type { LeaseStoreDeps } from './open-lease-store.ts';
import { ownInCluster } from './other-store.ts';
import { withPools } from './pool-reference.ts';

/**
 * @param claimant undefined where nobody in particular asks (STATUS, CHECK)
 * @returns the configuration with a set for each pool that it names
 * @throws as withPools
 */
export async function resolvePools(
  deps: Pick<LeaseStoreDeps, 'kube' | 'openStore' | 'now'>,
  config: IpamConfig,
  claimant: Claimant | undefined,
  signal: AbortSignal,
): Promise<IpamConfig> {
  const { kubeconfig, pools, nodeName } = config;
  if (kubeconfig === undefined || pools.length === 0) return config;
  const store = deps.openStore(config);
  const user = claimant && {
    ...{ pod: podOf(claimant.args), nodeName: nodeNameOf(nodeName) },
    own: ownInCluster(store, { ...claimant, owner: ownerOf(claimant) }),
  };
  return withPools(config, { client: deps.kube(kubeconfig), store, now: deps.now }, user, signal);
}
