// A network with its configuration found: always the list form, with a name, checked before anything is changed.

import { faultOfName, faultOfType } from '../pkg/cni/names.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { JsonObject, JsonValue } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';

export interface Network {
  /** "namespace/name" of the definition, or the name of the configuration: what people call it. */
  readonly label: string;
  /** Where the configuration was read, for people. */
  readonly source: string;
  /** A network configuration list: name, cniVersion, plugins (at least one, each with a type). */
  readonly config: JsonObject;
}

/** The plugins of a configuration list. */
export function pluginsOf(config: JsonObject): JsonObject[] {
  return Array.isArray(config.plugins) ? config.plugins.filter(isJsonObject) : [];
}

/** `name` of a configuration list: what its plugins and their IPAM know the network by. */
export function networkName(config: JsonObject): string {
  return typeof config.name === 'string' ? config.name : '';
}

/**
 * A network from a configuration or a configuration list.
 * @param fallbackName given to a configuration without a name (NPWG 3.4.2: that of its definition)
 * @throws ManifoldError 'bad-config' that names the network and the file
 */
export function networkOf(
  found: JsonObject,
  from: { label: string; source: string; fallbackName?: string },
): Network {
  const name = found.name === undefined || found.name === '' ? from.fallbackName : found.name;
  const plugins = Array.isArray(found.plugins) ? found.plugins : [withoutKeys(found, 'cniVersions')];
  const fault = faultOfNetwork(name, plugins);
  if (fault !== undefined) {
    throw new ManifoldError('bad-config', `Cannot use network ${from.label}: ${fault} (${from.source})`, {
      hint: `Correct the configuration in ${from.source}.`,
    });
  }
  const list = Array.isArray(found.plugins)
    ? found
    : { cniVersion: found.cniVersion, cniVersions: found.cniVersions };
  return { label: from.label, source: from.source, config: { ...list, name, plugins } };
}

function faultOfNetwork(name: JsonValue | undefined, plugins: readonly JsonValue[]): string | undefined {
  if (typeof name !== 'string') return 'its configuration has no "name"';
  const fault = faultOfName(name);
  if (fault !== undefined) return `of its "name" ${JSON.stringify(name)}, ${fault}`;
  if (plugins.length === 0) return 'its "plugins" is empty';
  return plugins.map(faultOfPlugin).find((text) => text !== undefined);
}

function faultOfPlugin(plugin: JsonValue): string | undefined {
  if (!isJsonObject(plugin)) return 'one of its "plugins" is no object';
  if (typeof plugin.type !== 'string') return 'a plugin has no "type"';
  const ipamType = isJsonObject(plugin.ipam) ? plugin.ipam.type : undefined;
  for (const type of [plugin.type, ...(typeof ipamType === 'string' ? [ipamType] : [])]) {
    const fault = type === '' && type !== plugin.type ? undefined : faultOfType(type);
    if (fault !== undefined) return `of the "type" ${JSON.stringify(type)}, ${fault}`;
  }
  return undefined;
}

function withoutKeys(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** Every type that a network calls: its plugins, and the IPAM plugins that these call. */
export function typesOf(config: JsonObject): string[] {
  const types = pluginsOf(config).flatMap((plugin) => [
    plugin.type,
    isJsonObject(plugin.ipam) ? plugin.ipam.type : undefined,
  ]);
  return [...new Set(types.filter((type): type is string => typeof type === 'string' && type !== ''))];
}
