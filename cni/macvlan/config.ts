// What a macvlan network configuration may say: the keys of the reference plugin, validated.
import * as v from 'valibot';
import { ipamKey, linkName } from '../../pkg/attach/config-keys.ts';
import { macSchema } from '../../pkg/attach/mac-schema.ts';
import { oneOf } from '../../pkg/cni/fields.ts';
import { manifoldEntries } from '../../pkg/cni/manifold-options.ts';

const MODES = ['bridge', 'private', 'vepa', 'passthru'] as const;

export const macvlanConfig = v.object({
  /** Name of the parent; the interface of the default route when absent. */
  master: v.optional(linkName(127)),
  mode: v.optional(v.picklist(MODES, `must be one of ${MODES.join(', ')}`), 'bridge'),
  /** 0: the parent's. */
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535)), 0),
  mac: v.optional(macSchema),
  /** The parent is looked up inside the pod's namespace. */
  linkInContainer: v.optional(v.boolean(), false),
  /** IFLA_MACVLAN_BC_QUEUE_LEN; 0: the kernel's default. */
  bcqueuelen: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff)), 0),
  ipam: ipamKey,
  runtimeConfig: v.optional(v.object({ mac: v.optional(macSchema) })),
  manifold: v.optional(
    v.object(
      {
        ...manifoldEntries,
        /** require: the pod must be able to use RDMA over the parent's device. auto and off: it is not looked at. */
        rdma: v.optional(oneOf(['auto', 'require', 'off']), 'auto'),
      },
      'must be an object',
    ),
    {},
  ),
});

export type MacvlanConfig = v.InferOutput<typeof macvlanConfig>;
