// What a request turns into for the plugins of its network: runtimeConfig by capability, args, device.
// NPWG 4.1.2: a request that no plugin of the network declares the capability for must fail.

import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { pluginsOf } from './network.ts';
import type { NetworkRequest } from './request.ts';

/** runtimeConfig as the plugins know it: each key is the name of a capability. */
export function runtimeConfigOf(request: NetworkRequest): JsonObject {
  const { ips, mac, infinibandGuid, portMappings, bandwidth, deviceId } = request;
  return {
    ...(ips && { ips }),
    ...(mac && { mac }),
    ...(infinibandGuid && { infinibandGUID: infinibandGuid }),
    // The portmap plugin and the kubelet write the protocol in lower case, the annotation in upper case.
    ...(portMappings && {
      portMappings: portMappings.map((m) => ({ ...m, protocol: m.protocol.toLowerCase() })),
    }),
    ...(bandwidth && { bandwidth: { ...bandwidth } }),
    ...(deviceId && { deviceID: deviceId }),
  };
}

/** A device is also written into the configuration itself: no capability has to be declared for it. */
const NEEDS_NO_CAPABILITY = ['deviceID'];

/** The keys of runtimeConfig that no plugin of the list declares as a capability. */
export function undeclared(config: JsonObject, runtimeConfig: JsonObject): string[] {
  const declared = (key: string) =>
    pluginsOf(config).some(
      (plugin) => isJsonObject(plugin.capabilities) && plugin.capabilities[key] === true,
    );
  return Object.keys(runtimeConfig).filter((key) => !NEEDS_NO_CAPABILITY.includes(key) && !declared(key));
}

/** The configuration list with the request's cni-args over the definition's, and with its device. */
export function withRequest(config: JsonObject, request: NetworkRequest): JsonObject {
  const { deviceId, cniArgs, ipamClaim } = request;
  const extra: JsonObject = { ...cniArgs, ...(ipamClaim && { 'ipam-claim-reference': ipamClaim }) };
  if (deviceId === undefined && Object.keys(extra).length === 0) return config;
  const plugins = pluginsOf(config).map((plugin) => ({
    ...plugin,
    ...(deviceId !== undefined && { deviceID: deviceId, pciBusID: deviceId }),
    ...(Object.keys(extra).length > 0 && { args: mergedArgs(plugin, extra) }),
  }));
  return { ...config, plugins };
}

function mergedArgs(plugin: JsonObject, extra: JsonObject): JsonObject {
  const args = isJsonObject(plugin.args) ? plugin.args : {};
  const cni = isJsonObject(args.cni) ? args.cni : {};
  return { ...args, cni: { ...cni, ...extra } };
}
