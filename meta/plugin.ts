// The plugin that a runtime calls: the default network of the pod, then one delegate for each network asked for.
import type { Plugin } from '../pkg/cni/plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { type MetaConfig, metaSchema } from './config.ts';
import { del } from './del.ts';
import type { MetaDeps } from './deps.ts';
import { gc } from './gc.ts';
import { MANIFOLD } from './ourselves.ts';
import { status } from './status.ts';

export function createManifold(deps: MetaDeps): Plugin<MetaConfig> {
  return {
    name: MANIFOLD,
    summary:
      'attaches a pod to its default network and to every network that it asks for (for people: manifold --help)',
    config: metaSchema,
    add: (call) => add(deps, call),
    del: (call) => del(deps, call),
    check: (call) => check(deps, call),
    status: (call) => status(deps, call),
    gc: (call) => gc(deps, call),
  };
}
