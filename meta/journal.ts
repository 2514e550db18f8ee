// The attachments of one call of the runtime in the node's store: written before the first step, read by DEL, CHECK, GC.
import { podOf } from '../pkg/attach/deps.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { NetworkList } from '../pkg/cni/network-list.ts';
import type { AddCall, AttachmentId, JsonObject } from '../pkg/cni/plugin.ts';
import { readResult } from '../pkg/cni/read-result.ts';
import type { CniResult } from '../pkg/cni/result.ts';
import type { ListAttachment } from '../pkg/cni/run-list.ts';
import { NEWEST_VERSION } from '../pkg/cni/versions.ts';
import { writeResult } from '../pkg/cni/write-result.ts';
import type { Namespace } from '../pkg/kernel/kernel.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import type { MetaConfig } from './config.ts';
import { listOf, networkName } from './network.ts';
import type { PlannedAttachment } from './plan.ts';

/** CNI_ARGS that are meant for manifold alone: Go plugins refuse arguments that they do not know. */
export const NETWORKS_ARG = 'MANIFOLD_NETWORKS';

/** What the journal keeps beside the configuration list itself, under keys that a list has no use for. */
interface Extra {
  readonly runtimeConfig: JsonObject;
  readonly manifold: {
    /** CNI_IFNAME of the call: a runtime may attach one container to two networks of ours. */
    readonly call: string;
    readonly netnsId: string;
    readonly defaultRoute?: readonly string[];
  };
}

export function plannedRecord(
  planned: PlannedAttachment,
  call: AddCall<MetaConfig>,
  pod: Namespace,
  store: NodeStore,
): AttachmentRecord {
  const { [NETWORKS_ARG]: _, ...args } = call.args;
  const extra: Extra = {
    runtimeConfig: planned.runtimeConfig,
    manifold: {
      call: call.ifname,
      netnsId: pod.id,
      ...(planned.defaultRoute && { defaultRoute: planned.defaultRoute }),
    },
  };
  return {
    containerId: call.containerId,
    ifname: planned.ifname,
    position: planned.position,
    network: planned.network.label,
    pod: podOf(call.args),
    netns: call.netns,
    config: { ...planned.network.config, ...extra },
    args,
    state: 'planned',
    writer: store.writer,
  };
}

/** All that one call of the runtime attached, in order. */
export function attachmentsOfCall(store: NodeStore, call: AttachmentId): AttachmentRecord[] {
  return store.attachments
    .ofContainer(call.containerId)
    .filter((record) => callOf(record).ifname === call.ifname);
}

/** The call of the runtime that a record belongs to: how a runtime names the sandbox in DEL and GC. */
export function callOf(record: AttachmentRecord): AttachmentId {
  const { call } = ours(record);
  return { containerId: record.containerId, ifname: typeof call === 'string' ? call : record.ifname };
}

export function netnsIdOf(record: AttachmentRecord): string | undefined {
  const { netnsId } = ours(record);
  return typeof netnsId === 'string' ? netnsId : undefined;
}

/** The gateways of an attachment that carries the pod's default route. */
export function defaultRouteOf(record: AttachmentRecord): string[] | undefined {
  const { defaultRoute } = ours(record);
  return Array.isArray(defaultRoute) ? defaultRoute.filter((one) => typeof one === 'string') : undefined;
}

function ours(record: AttachmentRecord): JsonObject {
  return isJsonObject(record.config.manifold) ? record.config.manifold : {};
}

/** The configuration list of a record, without what the journal added. */
export function listOfRecord(record: AttachmentRecord): NetworkList {
  const { runtimeConfig: _runtimeConfig, manifold: _manifold, ...list } = record.config;
  return listOf(list, record.network);
}

export const networkNameOf = (record: AttachmentRecord): string => networkName(record.config);

/** Where and with what the plugins of a record are called. */
export function placeOf(
  record: AttachmentRecord,
  netns: string | undefined,
  path: readonly string[],
): ListAttachment {
  const { containerId, ifname, args, config } = record;
  const capabilityArgs = isJsonObject(config.runtimeConfig) ? config.runtimeConfig : {};
  return { containerId, ifname, netns, args, capabilityArgs, path };
}

export function withResult(record: AttachmentRecord, result: CniResult): AttachmentRecord {
  return { ...record, result: writeResult(result, NEWEST_VERSION) };
}

/** @throws ManifoldError 'bad-config' when the record was written by something else */
export function resultOfRecord(record: AttachmentRecord): CniResult | undefined {
  return record.result === undefined
    ? undefined
    : readResult(record.result, NEWEST_VERSION, 'result of the journal');
}
