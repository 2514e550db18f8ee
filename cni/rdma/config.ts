// What an rdma network configuration may say: the keys of rdma-cni, validated.
import * as v from 'valibot';
import { deviceId } from '../../pkg/attach/config-keys.ts';
import { manifoldOptions } from '../../pkg/cni/manifold-options.ts';

export const rdmaConfig = v.object({
  /** PCI or auxiliary device; the one of the interface in prevResult when absent. */
  deviceID: v.optional(deviceId),
  runtimeConfig: v.optional(v.object({ deviceID: v.optional(deviceId) })),
  manifold: manifoldOptions,
});

export type RdmaConfig = v.InferOutput<typeof rdmaConfig>;
