// DEL and GC of interfaces: take the link back, release the addresses, forget the record, in this order:
// an address is free only when nothing can answer for it any more.
import type { DelCall, GcCall } from '../cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import type { Namespace } from '../kernel/kernel.ts';
import type { InterfaceRecord, NodeStore } from '../state/node-store.ts';
import type { ManifoldConfig } from './attach-interface.ts';
import { type AttachDeps, describePod } from './deps.ts';
import { forwardGc, ipamType } from './ipam.ts';
import { forgetRecord } from './records.ts';
import { type Retract, retractSafely } from './retract.ts';

/**
 * Succeeds when nothing is left to delete, whatever is missing.
 * @throws ManifoldError when the kernel refused to take the interface back, or a device could not be put back as it was
 */
export async function detachInterface(
  deps: AttachDeps,
  call: DelCall<ManifoldConfig>,
  plugin: string,
  retract: Retract,
): Promise<void> {
  const { store, record } = readRecord(deps, call, plugin);
  deps.step('retract');
  const problems = retractNow(deps, call, { store, record }, retract);
  for (const reason of problems) call.log.error('could not put back', { ifname: call.ifname, reason });
  deps.step('release');
  await release(call, plugin, record !== undefined);
  if (problems.length > 0)
    throw new ManifoldError(
      'kernel',
      `Cannot put back what ${call.ifname} of ${describePod(record?.pod ?? {}, call.containerId)} was: ${problems.join('; ')}`,
      {
        hint: 'The device stays reserved until a later DEL can put it back. Mend the cause and let the runtime retry.',
      },
    );
  deps.step('forget');
  if (store !== undefined && record !== undefined)
    forgetRecord(store, record, call.config.manifold.runDir, call.log);
}

/**
 * What was never attached holds no address: a plugin that is not there, or that refuses its configuration, need not
 * be asked again and again.
 */
async function release(call: DelCall<ManifoldConfig>, plugin: string, wasAttached: boolean): Promise<void> {
  const type = ipamType(call.raw);
  if (type === undefined || type === plugin) return;
  try {
    await call.delegates.del(type, call.raw);
  } catch (error) {
    if (wasAttached || !isManifoldError(error) || !isHopeless(error)) throw error;
    call.log.warn('IPAM plugin cannot be asked', { type, reason: error.message });
  }
}

/** CNI specification section 5: 7 is "Invalid network config". */
const INVALID_CONFIG = 7;

const isHopeless = ({ code, cniCode }: ManifoldError): boolean =>
  code === 'not-found' || code === 'bad-config' || cniCode === INVALID_CONFIG;

interface Known {
  /** Undefined when it cannot be read. */
  readonly store: NodeStore | undefined;
  readonly record: InterfaceRecord | undefined;
}

/** Without a readable store DEL does what it can by name. */
function readRecord(deps: AttachDeps, call: DelCall<ManifoldConfig>, plugin: string): Known {
  try {
    const store = deps.openStore(call.config.manifold);
    const record = store.interfaces.get(call);
    return { store, record: record?.plugin === plugin ? record : undefined };
  } catch (error) {
    if (!isManifoldError(error, 'state')) throw error;
    call.log.warn('store cannot be read: going by names', { reason: error.message });
    return { store: undefined, record: undefined };
  }
}

function retractNow(
  deps: AttachDeps,
  call: DelCall<ManifoldConfig>,
  { store, record }: Known,
  retract: Retract,
): string[] {
  const path = call.netns ?? record?.netns;
  const opened = path === undefined ? undefined : deps.kernel.openIfThere(path);
  try {
    if (store !== undefined && record === undefined && isAnothers(store, call, opened)) return [];
    const pod = record === undefined || opened?.id === record.netnsId ? opened : undefined;
    return retract({ ifname: call.ifname, record, storeLost: store === undefined, pod, log: call.log });
  } finally {
    opened?.close();
  }
}

/**
 * The interface under this name has a record of its own: of another network, whose name an ADD wanted and was refused,
 * or of a newer sandbox in the same namespace. A runtime calls DEL for both.
 */
function isAnothers(
  store: NodeStore,
  { containerId, ifname }: DelCall<ManifoldConfig>,
  pod: Namespace | undefined,
): boolean {
  return store.interfaces
    .all()
    .some((r) => r.ifname === ifname && (r.containerId === containerId || r.netnsId === pod?.id));
}

/**
 * Frees every interface of this network that the runtime does not list, then lets the IPAM plugin do the same.
 * Goes on after a failure and reports all.
 */
export async function collectInterfaces(
  deps: AttachDeps,
  call: GcCall<ManifoldConfig>,
  plugin: string,
  retract: Retract,
): Promise<void> {
  const store = deps.openStore(call.config.manifold);
  const valid = new Set(call.valid.map((id) => `${id.containerId}/${id.ifname}`));
  const failures: string[] = [];
  for (const record of store.interfaces.all()) {
    if (record.plugin !== plugin || record.network !== call.network) continue;
    if (valid.has(`${record.containerId}/${record.ifname}`)) continue;
    if (record.state === 'adding' && store.isAlive(record.writer)) continue;
    failures.push(...collectOne(deps, store, record, call, retract));
  }
  try {
    if (ipamType(call.raw) !== plugin) await forwardGc(call);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    failures.push(error.message);
  }
  if (failures.length > 0)
    throw new ManifoldError(
      'kernel',
      `Cannot collect all of network ${call.network}: ${failures.join('; ')}`,
      {
        hint: 'What could be freed is free. Mend the cause; the next GC or DEL tries the rest again.',
      },
    );
}

function collectOne(
  deps: AttachDeps,
  store: NodeStore,
  record: InterfaceRecord,
  call: GcCall<ManifoldConfig>,
  retract: Retract,
): string[] {
  const opened = deps.kernel.openIfThere(record.netns);
  try {
    const pod = opened?.id === record.netnsId ? opened : undefined;
    const target = { ifname: record.ifname, record, storeLost: false, pod, log: call.log };
    const problems = retractSafely(retract, target);
    if (problems.length === 0) forgetRecord(store, record, call.config.manifold.runDir, call.log);
    return problems;
  } finally {
    opened?.close();
  }
}
