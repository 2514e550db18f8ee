// Finds the configuration of every network that a pod gets: the default network, those for every pod, those asked for.
// It reads files only. A missing network is told with everything that was looked at.
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { findConfByName, firstConf, readConfFile } from './conf-dir.ts';
import type { MetaConfig } from './config.ts';
import type { Definition } from './definition.ts';
import { readDefinitions } from './definition-directory.ts';
import type { Files } from './files.ts';
import { isObjectName } from './kubernetes-name.ts';
import { type Network, networkOf, pluginsOf, typesOf } from './network.ts';
import { withNodeSettings } from './node-settings.ts';
import type { NetworkRequest } from './request.ts';

export interface NetworkSources {
  readonly files: Files;
  readonly config: MetaConfig;
  /** True for a `type` that would call manifold again. */
  readonly isOurselves: (type: string) => boolean;
  /** Types that run in this process. */
  readonly ownTypes: ReadonlySet<string>;
}

/**
 * The default network first, then what else every pod gets.
 * @throws ManifoldError 'bad-config' when one cannot be found, is broken, or is manifold itself
 */
export function readEveryPodNetworks(sources: NetworkSources): [Network, ...Network[]] {
  const { clusterNetwork, delegates = [] } = sources.config;
  if (clusterNetwork !== undefined) return [admitted(sources, readClusterNetwork(sources, clusterNetwork))];
  const networks = delegates.map((delegate, index) => {
    const label = typeof delegate.name === 'string' ? delegate.name : `delegates[${index}]`;
    const source = `delegates[${index}] of the configuration of manifold`;
    return admitted(
      sources,
      networkOf(delegate, { label, source, fallbackName: `manifold-delegate-${index}` }),
    );
  });
  return networks as [Network, ...Network[]];
}

/** Looked for as Multus does: a definition, a `name` in confDir, a directory (its first file), a file. */
function readClusterNetwork(sources: NetworkSources, wanted: string): Network {
  const { files, config } = sources;
  if (isObjectName(wanted)) {
    const definition = matching(sources, config.multusNamespace, wanted)[0];
    if (definition !== undefined) return networkOfDefinition(sources, definition);
    const { found } = findConfByName(files, config.confDir, wanted);
    if (found !== undefined) return networkOf(found.config, { label: wanted, source: found.path });
  }
  const kind = wanted.startsWith('/') ? files.kind(wanted) : undefined;
  if (kind === 'directory') return firstOfDirectory(sources, wanted);
  if (kind === 'file') {
    const file = readConfFile(files, wanted);
    if (typeof file === 'object')
      return networkOf(file.config, { label: labelOf(file.config, wanted), source: file.path });
    throw new ManifoldError('bad-config', `Cannot use clusterNetwork: ${file ?? `${wanted} is gone`}`);
  }
  throw new ManifoldError(
    'bad-config',
    `Cannot find clusterNetwork: nothing is named ${JSON.stringify(wanted)}`,
    {
      hint: `It is neither a definition in namespace ${config.multusNamespace}, nor the "name" of a file in ${config.confDir}, nor an absolute path of a directory or file.`,
    },
  );
}

function firstOfDirectory(sources: NetworkSources, directory: string): Network {
  // The runtime reads the same directory, where manifold's own file usually comes first.
  const notOurs = (file: { config: JsonObject }) => !pluginTypesOf(file.config).some(sources.isOurselves);
  const { found, problems } = firstConf(sources.files, directory, notOurs);
  if (found !== undefined)
    return networkOf(found.config, { label: labelOf(found.config, found.path), source: found.path });
  throw new ManifoldError(
    'bad-config',
    `Cannot find clusterNetwork: ${directory} has no network configuration but our own`,
    {
      hint: [...problems, 'Install the default network, which writes its configuration there.'].join('; '),
    },
  );
}

const labelOf = (config: JsonObject, otherwise: string): string =>
  typeof config.name === 'string' ? config.name : otherwise;

/**
 * The network that a request names.
 * @param pod how messages name the pod
 * @throws ManifoldError 'not-found' or 'bad-config'
 */
export function readAskedNetwork(
  sources: NetworkSources,
  request: NetworkRequest,
  pod: { readonly label: string; readonly namespace: string },
): Network {
  const { config } = sources;
  const namespace = request.namespace ?? pod.namespace;
  const label = `${namespace}/${request.name}`;
  if (
    config.namespaceIsolation &&
    namespace !== pod.namespace &&
    !config.globalNamespaces.includes(namespace)
  ) {
    throw new ManifoldError(
      'bad-config',
      `Cannot attach ${pod.label} to network ${label}: namespaceIsolation is on`,
      {
        hint: `A pod of namespace ${pod.namespace} may name networks of ${[pod.namespace, ...config.globalNamespaces].join(', ')}.`,
      },
    );
  }
  const [definition, second] = matching(sources, namespace, request.name);
  if (definition === undefined) throw unknownNetwork(sources, label, pod.label);
  if (second !== undefined) {
    throw new ManifoldError(
      'bad-config',
      `Cannot attach ${pod.label} to network ${label}: it is defined twice (${definition.source}; ${second.source})`,
      { hint: 'Remove one of the two definitions.' },
    );
  }
  const { resourceName } = definition;
  return {
    ...admitted(sources, networkOfDefinition(sources, definition)),
    ...(resourceName && { resourceName }),
  };
}

/**
 * Where a network is looked for when no pod is known (STATUS, GC): the namespace that the request names, else every
 * one that defines it, "default" first, which stands for pods without a namespace.
 */
export function namespacesFor(
  { files, config }: NetworkSources,
  { name, namespace }: Pick<NetworkRequest, 'name' | 'namespace'>,
): string[] {
  if (namespace !== undefined) return [namespace];
  const { definitions } = readDefinitions(files, config.manifold.networksDir, [name]);
  const found = new Set(definitions.filter((one) => one.name === name).map((one) => one.namespace));
  const others = [...found].filter((one) => one !== 'default').sort();
  return found.has('default') || others.length === 0 ? ['default', ...others] : others;
}

function matching({ files, config }: NetworkSources, namespace: string, name: string): Definition[] {
  const { definitions } = readDefinitions(files, config.manifold.networksDir, [name]);
  return definitions.filter((one) => one.namespace === namespace && one.name === name);
}

function networkOfDefinition({ files, config }: NetworkSources, definition: Definition): Network {
  const label = `${definition.namespace}/${definition.name}`;
  const from = { label, source: definition.source, fallbackName: definition.name };
  if (definition.config !== undefined) return networkOf(definition.config, from);
  const { found, problems } = findConfByName(files, config.confDir, definition.name);
  if (found !== undefined) return networkOf(found.config, { ...from, source: found.path });
  throw new ManifoldError(
    'not-found',
    `Cannot use network ${label}: it has no spec.config, and no file in ${config.confDir} has the name "${definition.name}" (${definition.source})`,
    { hint: [...problems, 'Write the configuration into spec.config, or into such a file.'].join('; ') },
  );
}

function unknownNetwork({ files, config }: NetworkSources, label: string, pod: string): ManifoldError {
  // Only now is every file parsed: a broken one is the likely reason.
  const { networksDir } = config.manifold;
  const { definitions, problems } = readDefinitions(files, networksDir);
  const known = definitions.map((one) => `${one.namespace}/${one.name}`);
  const shown = known.length > 12 ? [...known.slice(0, 12), `and ${known.length - 12} more`] : known;
  return new ManifoldError(
    'not-found',
    `Cannot attach ${pod} to network ${label}: it is not defined in ${networksDir}`,
    {
      hint: [
        ...problems,
        shown.length > 0 ? `defined are: ${shown.join(', ')}` : 'nothing is defined there',
      ].join('; '),
    },
  );
}

function pluginTypesOf(config: JsonObject): string[] {
  const plugins = Array.isArray(config.plugins) ? pluginsOf(config) : [config];
  return plugins.map((plugin) => plugin.type).filter((type) => typeof type === 'string');
}

/** Refuses manifold itself, and makes our own plugins use the state of this node, whatever the definition says. */
function admitted(sources: NetworkSources, network: Network): Network {
  if (!typesOf(network.config).some(sources.isOurselves)) {
    return {
      ...network,
      config: withNodeSettings(network.config, sources.config.manifold, sources.ownTypes),
    };
  }
  throw new ManifoldError(
    'bad-config',
    `Cannot use network ${network.label}: it would call manifold again (${network.source})`,
    { hint: 'Name the plugin that is to be called; manifold never delegates to itself.' },
  );
}
