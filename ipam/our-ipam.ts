// The types of `ipam` that this address manager serves, and the configuration of each as it reads it.
import { env } from 'node:process';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { completeWhereabouts } from './whereabouts/complete.ts';

/** Under the second name another project's program may be installed: then it is none of ours. */
export const IPAM_TYPES = ['manifold-ipam', 'whereabouts'] as const;
export type IpamType = (typeof IPAM_TYPES)[number];

/** @param ownTypes types that run in this process */
export const isOurIpam = (type: string | undefined, ownTypes: ReadonlySet<string>): type is IpamType =>
  IPAM_TYPES.some((one) => one === type && ownTypes.has(one));

/** What the plugin of that type makes of a network configuration before it parses it. @throws as its `complete` */
export function completedConfig(type: IpamType, raw: JsonObject, forDel: boolean): JsonObject {
  return type === 'whereabouts' ? completeWhereabouts(raw, { env, forDel }).config : raw;
}
