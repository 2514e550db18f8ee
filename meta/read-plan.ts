// From a call of the runtime to the plan of its attachments: reads configuration and definitions, changes nothing.
import { describePod, podOf } from '../pkg/attach/deps.ts';
import { findPlugin } from '../pkg/cni/exec-plugin.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { AddCall, Call } from '../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { MetaConfig } from './config.ts';
import type { MetaDeps } from './deps.ts';
import { NETWORKS_ARG } from './journal.ts';
import { type Network, typesOf } from './network.ts';
import { type NetworkSources, readAskedNetwork, readEveryPodNetworks } from './networks.ts';
import { isOurselves, searchPath } from './ourselves.ts';
import { ownTypesFor } from './own-types.ts';
import { type PlannedAttachment, planAttachments } from './plan.ts';
import { type NetworkRequest, parseRequest } from './request.ts';

/** @throws ManifoldError of the first thing that is wrong, naming pod, network and file */
export function readPlan(deps: MetaDeps, call: AddCall<MetaConfig>): PlannedAttachment[] {
  const pod = podOf(call.args);
  const label = describePod(pod, call.containerId);
  const sources = networkSources(deps, call);
  const everyPod = readEveryPodNetworks(sources);
  const asked = readRequests(call, label).map((request) => {
    const network = readAskedNetwork(sources, request, { label, namespace: pod.namespace ?? 'default' });
    warnOf(call, request, network);
    return { request, network };
  });
  const { runtimeConfig } = call.raw;
  const planned = planAttachments({
    pod: label,
    ifname: call.ifname,
    runtimeConfig: isJsonObject(runtimeConfig) ? runtimeConfig : {},
    everyPod,
    asked,
  });
  for (const { network } of planned) {
    const missing = missingPlugin(deps, call, network);
    if (missing !== undefined) {
      throw new ManifoldError(
        'not-found',
        `Cannot attach ${label} to network ${network.label}: ${missing.message}`,
        {
          ...(missing.hint !== undefined && { hint: missing.hint }),
        },
      );
    }
  }
  return planned;
}

/** CNI_ARGS go before the configuration. */
function readRequests(call: AddCall<MetaConfig>, pod: string): NetworkRequest[] {
  const given = call.args[NETWORKS_ARG];
  return given === undefined
    ? parseRequest(call.config.manifold.networks, `manifold.networks of the configuration, for ${pod}`)
    : parseRequest(given, `${NETWORKS_ARG} of CNI_ARGS, for ${pod}`);
}

function warnOf(call: Call<MetaConfig>, { unknownKeys, deviceId }: NetworkRequest, network: Network): void {
  const { label, resourceName } = network;
  if (unknownKeys !== undefined)
    call.log.warn('unknown keys of a network asked for', { network: label, keys: unknownKeys });
  // Which device the pod was given is for the kubelet to say.
  if (resourceName !== undefined && deviceId === undefined)
    call.log.warn('the resource of a network is not resolved to a device', { network: label, resourceName });
}

export function networkSources(deps: MetaDeps, call: Call<MetaConfig>): NetworkSources {
  const path = searchPath(call.config.binDir, call.path);
  const ownTypes = ownTypesFor(deps, path);
  return {
    files: deps.files,
    config: call.config,
    ownTypes,
    isOurselves: (type) => isOurselves(type, path, { ...deps, ownTypes }),
  };
}

/** Why a plugin of the network, or the IPAM plugin that it calls, cannot be run; undefined when all are there. */
export function missingPlugin(
  deps: MetaDeps,
  call: Call<MetaConfig>,
  network: Network,
): ManifoldError | undefined {
  const path = searchPath(call.config.binDir, call.path);
  for (const type of typesOf(network.config)) {
    if (deps.ownTypes.has(type)) continue;
    try {
      findPlugin(type, path);
    } catch (error) {
      if (!isManifoldError(error, 'not-found')) throw error;
      return error;
    }
  }
  return undefined;
}
