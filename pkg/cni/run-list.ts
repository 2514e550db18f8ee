// Runs a network configuration list as libcni does for a runtime: the derived configuration of each plugin, the order,
// and what is handed from one to the next.

import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import type { ListedPlugin, NetworkList } from './network-list.ts';
import type { AttachmentId, DelegateOptions, Delegates, JsonObject } from './plugin.ts';
import type { CniResult } from './result.ts';
import { isAtLeast } from './versions.ts';
import { writeResult } from './write-result.ts';

export interface ListAttachment extends AttachmentId {
  readonly netns: string | undefined;
  readonly args?: Readonly<Record<string, string>>;
  /** What the runtime gives for capabilities; each plugin is given those that it declares. */
  readonly capabilityArgs?: JsonObject;
  /** CNI_PATH; the caller's own when absent. */
  readonly path?: readonly string[];
  /** For ADD: what plugins before the list have made, where the caller itself stands in a list. */
  readonly prevResult?: CniResult;
}

/** The configuration that one plugin of a list is given (CNI specification 1.1.0, "Deriving request configuration"). */
export function deriveConfig(
  list: NetworkList,
  plugin: ListedPlugin,
  given: {
    readonly capabilityArgs?: JsonObject | undefined;
    readonly prevResult?: CniResult | undefined;
  } = {},
): JsonObject {
  const { capabilities, ...config } = plugin.config;
  const declared = Object.entries({ ...asObject(capabilities) }).filter(([, wanted]) => wanted === true);
  const runtimeConfig = declared.flatMap(([name]) => {
    const value = given.capabilityArgs?.[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...config,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(runtimeConfig.length > 0 ? { runtimeConfig: Object.fromEntries(runtimeConfig) } : {}),
    ...(given.prevResult === undefined ? {} : { prevResult: writeResult(given.prevResult, list.cniVersion) }),
  };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/**
 * ADD of every plugin in order. A failure leaves what ran before it: the caller runs deleteList, which is right for
 * plugins that did not run also.
 */
export async function addList(
  list: NetworkList,
  at: ListAttachment,
  delegates: Delegates,
): Promise<CniResult> {
  let prevResult = at.prevResult;
  for (const plugin of list.plugins) {
    const config = deriveConfig(list, plugin, { capabilityArgs: at.capabilityArgs, prevResult });
    prevResult = await delegates.add(plugin.type, config, optionsOf(at));
  }
  return prevResult ?? {};
}

/** DEL of every plugin in reverse order, up to the first failure, as the specification says. May be repeated. */
export async function deleteList(
  list: NetworkList,
  at: ListAttachment,
  delegates: Delegates,
  added: CniResult | undefined,
): Promise<void> {
  // Plugins of older versions know no prevResult in DEL.
  const prevResult = isAtLeast(list.cniVersion, '0.4.0') ? added : undefined;
  for (const plugin of [...list.plugins].reverse()) {
    const config = deriveConfig(list, plugin, { capabilityArgs: at.capabilityArgs, prevResult });
    await delegates.del(plugin.type, config, optionsOf(at));
  }
}

/** CHECK of every plugin in order; nothing where the list has it disabled or is too old for it. */
export async function checkList(
  list: NetworkList,
  at: ListAttachment,
  delegates: Delegates,
  prevResult: CniResult,
): Promise<void> {
  if (list.disableCheck || !isAtLeast(list.cniVersion, '0.4.0')) return;
  for (const plugin of list.plugins) {
    const config = deriveConfig(list, plugin, { capabilityArgs: at.capabilityArgs, prevResult });
    await delegates.check(plugin.type, config, optionsOf(at));
  }
}

/** STATUS of every plugin, up to the first failure, whose code says what it means; nothing below 1.1.0. */
export async function statusOfList(
  list: NetworkList,
  delegates: Delegates,
  options: Pick<DelegateOptions, 'path'> = {},
): Promise<void> {
  if (!isAtLeast(list.cniVersion, '1.1.0')) return;
  for (const plugin of list.plugins) await delegates.status(plugin.type, deriveConfig(list, plugin), options);
}

/**
 * GC of every plugin, whatever fails in between; nothing where the list has it disabled or is too old for it.
 * @throws the one failure, or ManifoldError 'delegate' that has them all
 */
export async function collectList(
  list: NetworkList,
  valid: readonly AttachmentId[],
  delegates: Delegates,
  options: Pick<DelegateOptions, 'path'> = {},
): Promise<void> {
  if (list.disableGC || !isAtLeast(list.cniVersion, '1.1.0')) return;
  const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
  const failures: ManifoldError[] = [];
  for (const plugin of list.plugins) {
    // The second key is libcni's old name for the first, which plugins of its time read.
    const lists = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments };
    try {
      await delegates.gc(plugin.type, { ...deriveConfig(list, plugin), ...lists }, options);
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (first === undefined) return;
  if (failures.length === 1) throw first;
  const all = failures.map((one) => one.message).join('; ');
  throw new ManifoldError('delegate', `Cannot collect network '${list.name}': ${all}`, {
    cause: new AggregateError(failures),
    ...(first.cniCode === undefined ? {} : { cniCode: first.cniCode }),
  });
}

function optionsOf(at: ListAttachment): DelegateOptions {
  const { containerId, ifname, netns, args, path } = at;
  return {
    containerId,
    ifname,
    netns,
    ...(args === undefined ? {} : { args }),
    ...(path === undefined ? {} : { path }),
  };
}
