// What an earlier ADD of the same attachment, or of the same pod's earlier sandbox, left when its process died.
import type { AddCall, Call } from '../cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import type { Namespace } from '../kernel/kernel.ts';
import type { InterfaceRecord, NodeStore } from '../state/node-store.ts';
import type { ManifoldConfig } from './attach-interface.ts';
import { type AttachDeps, describePod, podOf } from './deps.ts';
import { ipamType } from './ipam.ts';
import { type Retract, retractSafely } from './retract.ts';

/**
 * Clears unfinished ADDs of dead processes, so that this ADD starts afresh.
 * @throws ManifoldError 'try-later' while another process is at the same attachment
 */
export async function clearLeftovers(
  deps: AttachDeps,
  store: NodeStore,
  call: AddCall<ManifoldConfig>,
  plugin: string,
  retract: Retract,
): Promise<void> {
  const { uid } = podOf(call.args);
  const own = store.interfaces.get(call);
  const siblings = uid === undefined ? [] : store.interfaces.ofPod(uid);
  const earlier = siblings.filter(
    (r) => r.ifname === call.ifname && r.network === call.network && r.containerId !== call.containerId,
  );
  for (const record of own === undefined ? earlier : [own, ...earlier]) {
    if (record.plugin !== plugin) continue;
    if (record.state === 'adding' && store.isAlive(record.writer)) {
      if (record.writer.pid === store.writer.pid && record.writer.startTime === store.writer.startTime)
        continue;
      throw new ManifoldError(
        'try-later',
        `Cannot attach ${call.ifname}: process ${record.writer.pid} is attaching it to ${describePod(record.pod, record.containerId)} right now`,
        { hint: 'Retry: the runtime called ADD twice for one attachment.' },
      );
    }
    if (clearRecord(deps, store, record, call.log, retract)) await releaseLeftover(call, record);
  }
}

/** Another sandbox's addresses, or those of an ADD that never finished: an IPAM plugin of others knows no owner but these. */
async function releaseLeftover(call: Call<unknown>, record: InterfaceRecord): Promise<void> {
  const type = ipamType(call.raw);
  if (type === undefined) return;
  try {
    const { containerId, ifname, netns } = record;
    await call.delegates.del(type, call.raw, { containerId, ifname, netns });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    call.log.warn('could not release what an unfinished call left', {
      ifname: record.ifname,
      reason: error.message,
    });
  }
}

/** Takes one record's effects back when nobody needs them any more. @returns whether the record is gone */
export function clearRecord(
  deps: AttachDeps,
  store: NodeStore,
  record: InterfaceRecord,
  log: AddCall<ManifoldConfig>['log'],
  retract: Retract,
): boolean {
  const pod = deps.kernel.openIfThere(record.netns);
  try {
    const same = pod?.id === record.netnsId ? pod : undefined;
    if (isInUse(same, record)) return false;
    const problems = retractSafely(retract, {
      ifname: record.ifname,
      record,
      storeLost: false,
      pod: same,
      log,
    });
    for (const reason of problems) log.error('could not put back', { ifname: record.ifname, reason });
    if (problems.length > 0) return false;
    store.interfaces.removeOwn(record);
    log.info('cleared what an unfinished call left', {
      ifname: record.ifname,
      container: record.containerId,
      network: record.network,
    });
    return true;
  } finally {
    pod?.close();
  }
}

/** True when nobody needs what the record speaks of: its ADD died, or its namespace or interface is gone. */
export function isAbandoned({ kernel }: AttachDeps, store: NodeStore, record: InterfaceRecord): boolean {
  if (record.state === 'adding') return !store.isAlive(record.writer);
  const pod = kernel.openIfThere(record.netns);
  try {
    return !isInUse(pod?.id === record.netnsId ? pod : undefined, record);
  } finally {
    pod?.close();
  }
}

/** A finished attachment whose interface still stands in its namespace is in use. @param pod undefined: gone */
function isInUse(pod: Namespace | undefined, { state, saved, ifname }: InterfaceRecord): boolean {
  if (state !== 'added' || pod === undefined) return false;
  const { index, outside } = saved;
  // A device of a user-space driver is nowhere in the namespace: it is held as long as that is there.
  if (outside === true) return true;
  return pod.link(typeof index === 'number' ? { index } : { name: ifname }) !== undefined;
}
