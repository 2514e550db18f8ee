// Where our own plugins keep their state is the node's matter. A definition is written by a tenant and runs as root:
// it must not choose a directory, a log file, or for which node it speaks.
import { RDMA } from '../cni/rdma/plugin.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import type { MetaConfig } from './config.ts';
import { ipamTypeOf, pluginsOf } from './network.ts';

/** The configuration list with the node's own settings in every plugin that is ours or calls an IPAM plugin of ours. */
export function withNodeSettings(
  config: JsonObject,
  { stateDir, runDir, logLevel, logFile, kubeconfig, nodeName, whereabouts }: MetaConfig['manifold'],
  ownTypes: ReadonlySet<string>,
): JsonObject {
  const settings = {
    ...{ stateDir, runDir, logLevel },
    ...(logFile !== undefined && { logFile }),
    // Without one of the node's the definition's stands: to pass it over would make its addresses the node's own.
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(nodeName !== undefined && { nodeName }),
    ...(whereabouts !== undefined && { whereabouts }),
  };
  const isOurs = (type: unknown) => typeof type === 'string' && ownTypes.has(type);
  // Another project's rdma, chained, looks for the device on the host, and fails where our plugin has moved it already.
  const isRdmaTheirs = !ownTypes.has(RDMA) && pluginsOf(config).some(({ type }) => type === RDMA);
  const plugins = pluginsOf(config).map((plugin) => {
    if (!isOurs(plugin.type) && !isOurs(ipamTypeOf(plugin))) return plugin;
    const { logFile: _log, nodeName: _node, ...own } = isJsonObject(plugin.manifold) ? plugin.manifold : {};
    const stays = isRdmaTheirs && isOurs(plugin.type) ? { rdma: 'off' } : {};
    return { ...plugin, manifold: { ...stays, ...own, ...settings } };
  });
  return { ...config, plugins };
}
