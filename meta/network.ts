// A network with its configuration found: always the list form, with a name, checked before anything is changed.

import { faultOfType } from '../pkg/cni/names.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import { type NetworkList, parseNetworkList } from '../pkg/cni/network-list.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';

export interface Network {
  /** "namespace/name" of the definition, or the name of the configuration: what people call it. */
  readonly label: string;
  /** Where the configuration was read, for people. */
  readonly source: string;
  /** A network configuration list: name, cniVersion, plugins (at least one, each with a type). */
  readonly config: JsonObject;
  /** Of the definition: the device plugin's resource that the network needs. */
  readonly resourceName?: string;
}

/** The plugins of a configuration list. */
export function pluginsOf(config: JsonObject): JsonObject[] {
  return Array.isArray(config.plugins) ? config.plugins.filter(isJsonObject) : [];
}

/** `name` of a configuration list: what its plugins and their IPAM know the network by. */
export function networkName(config: JsonObject): string {
  return typeof config.name === 'string' ? config.name : '';
}

/** The list as pkg/cni runs it. @throws ManifoldError as parseNetworkList */
export function listOf(config: JsonObject, from: string): NetworkList {
  return parseNetworkList(JSON.stringify(config), from);
}

/**
 * A network from a configuration or a configuration list.
 * @param fallbackName given to a configuration without a name (NPWG 3.4.2: that of its definition)
 * @throws ManifoldError 'bad-config', 'incompatible-version', naming the network and the file
 */
export function networkOf(
  found: JsonObject,
  from: { readonly label: string; readonly source: string; readonly fallbackName?: string },
): Network {
  const { label, source } = from;
  const name = found.name === undefined || found.name === '' ? (from.fallbackName ?? found.name) : found.name;
  const { cniVersion, cniVersions, ...single } = found;
  const versions = {
    ...(cniVersion !== undefined && { cniVersion }),
    ...(cniVersions !== undefined && { cniVersions }),
  };
  const list: JsonObject = found.plugins === undefined ? { plugins: [single] } : found;
  const config: JsonObject = { ...list, ...versions, ...(name !== undefined && { name }) };
  try {
    listOf(config, source);
    refuseBadIpamType(config, source);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    throw new ManifoldError(error.code, `Cannot use network ${label}: ${error.message}`, {
      hint: error.hint ?? `Correct the configuration in ${source}.`,
    });
  }
  return { label, source, config };
}

/** `ipam.type` becomes part of a path too, and the plugin that gets it may be a foreign one that does not look. */
function refuseBadIpamType(config: JsonObject, source: string): void {
  for (const type of pluginsOf(config).map(ipamTypeOf)) {
    const fault = type === undefined ? undefined : faultOfType(type);
    if (fault !== undefined)
      throw new ManifoldError(
        'bad-config',
        `Cannot use 'ipam.type': ${fault} (${JSON.stringify(type)} in ${source})`,
      );
  }
}

/** The IPAM plugin that a plugin calls, if any. */
export function ipamTypeOf(plugin: JsonObject): string | undefined {
  const type = isJsonObject(plugin.ipam) ? plugin.ipam.type : undefined;
  return typeof type === 'string' && type !== '' ? type : undefined;
}

/** Every type that a network calls: its plugins, and the IPAM plugins that these call. */
export function typesOf(config: JsonObject): string[] {
  const types = pluginsOf(config).flatMap((plugin) => [plugin.type, ipamTypeOf(plugin)]);
  return [...new Set(types.filter((type): type is string => typeof type === 'string' && type !== ''))];
}
