// The network configuration of `manifold`, as a runtime passes it: Multus's keys, and ours under `manifold`.
import * as v from 'valibot';
import { absolutePath, flag, text } from '../pkg/cni/fields.ts';
import { manifoldEntries } from '../pkg/cni/manifold-options.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { isNamespaceName, NAME_RULE } from './kubernetes-name.ts';

const delegate = v.pipe(
  v.looseObject({}, 'must be a network configuration'),
  v.transform((value) => value as JsonObject),
);

export const metaSchema = v.pipe(
  v.looseObject({
    /** Excludes `delegates`: a definition in multusNamespace, a `name` in confDir, a directory, or a file. */
    clusterNetwork: v.optional(text()),
    /** Inline configurations: the first is the default network, the others are attached to every pod too. */
    delegates: v.optional(v.pipe(v.array(delegate, 'must be a list'), v.minLength(1, 'must not be empty'))),
    confDir: v.optional(absolutePath(), '/etc/cni/net.d'),
    /** Put before CNI_PATH when given. */
    binDir: v.optional(absolutePath()),
    /** Where libcni's cache of results is kept: <cniDir>/results. */
    cniDir: v.optional(absolutePath()),
    /** Namespace in which the definition that `clusterNetwork` names is looked for. */
    multusNamespace: v.optional(namespace(), 'kube-system'),
    /** A pod may name definitions of its own namespace and of globalNamespaces only. */
    namespaceIsolation: v.optional(flag(), false),
    globalNamespaces: v.optional(v.pipe(text(), v.transform(splitNames), v.array(namespace())), 'default'),
    manifold: v.optional(
      v.object(
        {
          ...manifoldEntries,
          /** Manifests of NetworkAttachmentDefinitions. */
          networksDir: v.optional(absolutePath(), '/etc/cni/manifold/networks.d'),
          /** The networks asked for, where CNI_ARGS has no MANIFOLD_NETWORKS: short form, JSON text, or the list. */
          networks: v.optional(v.union([v.string(), v.array(v.unknown())], 'must be a string or a list')),
        },
        'must be an object',
      ),
      {},
    ),
  }),
  v.check(
    (c) => (c.clusterNetwork === undefined) !== (c.delegates === undefined),
    'must have either "delegates" or "clusterNetwork": the default network of every pod',
  ),
);

export type MetaConfig = v.InferOutput<typeof metaSchema>;

function namespace() {
  return v.pipe(v.string(NAME_RULE), v.check(isNamespaceName, NAME_RULE));
}

function splitNames(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** Keys of Multus that change what a pod gets, and that this version does not have: silence would be a lie. */
const NOT_YET: Readonly<Record<string, string>> = {
  kubeconfig: 'Kubernetes mode is not in this version: networks come from manifold.networksDir',
  defaultNetworks: 'write the networks that every pod gets into "delegates", after the default network',
  auxiliaryCNIChainName: 'write the plugins of the chain into the configuration list of the default network',
  readinessindicatorfile: 'STATUS of the default network says whether it is ready',
};

/**
 * Called by every verb but DEL and GC, which must work with any configuration.
 * @throws ManifoldError 'unsupported-field'
 */
export function refuseUnsupported(raw: JsonObject): void {
  for (const [key, advice] of Object.entries(NOT_YET)) {
    const value = raw[key];
    if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0))
      continue;
    throw new ManifoldError(
      'unsupported-field',
      `Cannot use '${key}': this version of manifold does not support it`,
      {
        hint: `${advice}. Take the key out of the configuration.`,
      },
    );
  }
}
