// ADD: plan, claim, journal, then one attachment after the other (NPWG 7.3), and back again on the first failure.
import { describePod } from '../pkg/attach/deps.ts';
import type { AddCall } from '../pkg/cni/plugin.ts';
import type { CniResult } from '../pkg/cni/result.ts';
import { writeCachedResult } from '../pkg/cni/result-cache.ts';
import { addList } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord, NodeStore } from '../pkg/state/node-store.ts';
import { claimAddresses } from './claims.ts';
import { clearUnfinished, refuseTakenNames } from './clear.ts';
import { type MetaConfig, refuseUnsupported } from './config.ts';
import { resultWithDefaultRoute } from './default-route.ts';
import { applyDefaultRoute } from './default-route-apply.ts';
import type { MetaDeps } from './deps.ts';
import { type DetachFailure, describeFailures, detachAll, forget } from './detach.ts';
import {
  attachmentsOfCall,
  defaultRouteOf,
  listOfRecord,
  networkNameOf,
  placeOf,
  plannedRecord,
  withResult,
} from './journal.ts';
import { searchPath } from './ourselves.ts';
import { readPlan } from './read-plan.ts';

interface Added {
  readonly record: AttachmentRecord;
  readonly result: CniResult;
}

/**
 * @returns the result of the default network, as a runtime expects
 * @throws ManifoldError the first cause, naming pod and network; everything done before it has been undone
 */
export async function add(deps: MetaDeps, call: AddCall<MetaConfig>): Promise<CniResult> {
  refuseUnsupported(call.raw);
  const planned = readPlan(deps, call);
  const store = deps.openStore(call.config.manifold);
  const pod = deps.kernel.open(call.netns);
  try {
    await clearUnfinished(deps, call, store);
    const records = planned.map((attachment) => plannedRecord(attachment, call, pod, store));
    deps.step('journal');
    store.transaction(() => {
      refuseTakenNames(store, records);
      for (const record of records) store.attachments.put(record);
    });
    return await attachAll(deps, call, store, records);
  } finally {
    pod.close();
  }
}

async function attachAll(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
  records: readonly AttachmentRecord[],
): Promise<CniResult> {
  const added: Added[] = [];
  let current: AttachmentRecord | undefined;
  try {
    // After the journal: whoever finds the records of a process that died here frees the claims too.
    deps.step('claim');
    await claimAddresses(deps, call, records);
    for (const record of records) {
      current = record;
      added.push(await attachOne(deps, call, store, record));
    }
    current = records.find((record) => defaultRouteOf(record) !== undefined);
    const final = current === undefined ? added : giveDefaultRoute(deps, call, store, added, current);
    deps.step('done');
    return final[0]?.result ?? {};
  } catch (error) {
    await undo(deps, call, store, { ifname: current?.ifname, error });
    throw named(error, call, current);
  }
}

async function attachOne(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
  record: AttachmentRecord,
): Promise<Added> {
  deps.step(`adding ${record.ifname}`);
  const adding = { ...record, state: 'adding' } as const;
  store.attachments.put(adding);
  deps.step(`add ${record.ifname}`);
  const place = placeOf(record, call.netns, searchPath(call.config.binDir, call.path));
  // Where manifold itself stands in a list, the default network goes on from what is there.
  const before =
    record.position === 0 && call.prevResult !== undefined ? { prevResult: call.prevResult } : {};
  const result = await addList(listOfRecord(record), { ...place, ...before }, call.delegates);
  deps.step(`added ${record.ifname}`);
  const done = { ...withResult(adding, result), state: 'added' } as const;
  store.attachments.put(done);
  cacheResult(deps, call, { record: done, result });
  return { record: done, result };
}

/** After the last attachment, since each may bring a default route of its own. */
function giveDefaultRoute(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
  added: readonly Added[],
  chosen: AttachmentRecord,
): Added[] {
  deps.step('default route');
  const wish = { ifname: chosen.ifname, gateways: defaultRouteOf(chosen) ?? [] };
  const families = applyDefaultRoute(deps.kernel, call.netns, wish);
  const changed = added.map(({ record, result }) => {
    const now = resultWithDefaultRoute(result, record.ifname, wish, families);
    return { record: withResult(record, now), result: now };
  });
  deps.step('results');
  store.transaction(() => {
    for (const { record } of changed) store.attachments.put(record);
  });
  for (const one of changed) cacheResult(deps, call, one);
  return changed;
}

/** For tools that take over this node later: nothing of ours reads it. */
function cacheResult(deps: MetaDeps, call: AddCall<MetaConfig>, { record, result }: Added): void {
  deps.step(`cache ${record.ifname}`);
  const list = listOfRecord(record);
  const { capabilityArgs = {} } = placeOf(record, call.netns, []);
  const { cniDir, manifold } = call.config;
  try {
    writeCachedResult(cniDir ?? manifold.stateDir, {
      network: networkNameOf(record),
      containerId: record.containerId,
      ifname: record.ifname,
      netns: record.netns,
      config: list.source,
      args: record.args,
      capabilityArgs,
      cniVersion: list.cniVersion,
      result,
    });
  } catch (error) {
    if (!isManifoldError(error, 'io')) throw error;
    call.log.warn('result is not cached for other tools', { reason: error.message });
  }
}

interface Cause {
  readonly ifname: string | undefined;
  readonly error: unknown;
}

/** What cannot be undone is logged and stays in the journal: the next DEL or ADD goes on with it. */
async function undo(
  deps: MetaDeps,
  call: AddCall<MetaConfig>,
  store: NodeStore,
  cause: Cause,
): Promise<void> {
  deps.step('undo');
  try {
    const failures = await detachAll(deps, call, store, attachmentsOfCall(store, call), call.netns);
    const left = failures.filter((failure) => !refusedFromTheStart(failure, cause));
    if (left.length > 0) call.log.error('could not undo', { reason: describeFailures(left) });
    for (const failure of failures)
      if (!left.includes(failure)) await forget(deps, store, failure.record, call);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    call.log.error('could not undo', { reason: error.message });
  }
}

/**
 * A plugin that answers DEL with the very words in which it refused ADD does not take the configuration at all: it did
 * nothing, and would stand in the way of every DEL of this pod for ever.
 */
function refusedFromTheStart({ record, error }: DetachFailure, cause: Cause): boolean {
  if (record.ifname !== cause.ifname || !isManifoldError(cause.error, 'delegate')) return false;
  return error.message === cause.error.message.replace('Cannot run ADD of', 'Cannot run DEL of');
}

function named(error: unknown, call: AddCall<MetaConfig>, record: AttachmentRecord | undefined): unknown {
  if (!isManifoldError(error) || record === undefined) return error;
  const pod = describePod(record.pod, call.containerId);
  const { hint, cause, cniCode } = error;
  return new ManifoldError(
    error.code,
    `Cannot attach ${pod} to network ${record.network} (${record.ifname}): ${error.message}`,
    {
      ...(hint !== undefined && { hint }),
      ...(cause !== undefined && { cause }),
      ...(cniCode !== undefined && { cniCode }),
    },
  );
}
