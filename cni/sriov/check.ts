// CHECK: what the kernel has against what ADD set and reported, in the pod and at the physical function.
import { checkInterface } from '../../pkg/attach/check-interface.ts';
import { describePod, podOf } from '../../pkg/attach/deps.ts';
import { expectedOf } from '../../pkg/attach/interface-result.ts';
import { forwardCheck } from '../../pkg/attach/ipam.ts';
import { rdmaDifferences } from '../../pkg/attach/rdma-device.ts';
import { isDevice, readSaved } from '../../pkg/attach/saved-device.ts';
import type { CheckCall, JsonObject } from '../../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { SriovConfig } from './config.ts';
import { openPhysicalFunction } from './physical-function.ts';
import type { SriovDeps } from './retract.ts';
import { readSavedVf, type SavedVf } from './saved-vf.ts';
import { differences } from './settings.ts';
import { vfDoor } from './vf-door.ts';

/** @throws ManifoldError 'check-failed' with every difference of the first place that differs */
export async function check(deps: SriovDeps, call: CheckCall<SriovConfig>): Promise<void> {
  await forwardCheck(call);
  const record = deps.openStore(call.config.manifold).interfaces.get(call);
  const saved = record === undefined ? undefined : readSavedVf(record.saved);
  if (record === undefined || saved === undefined)
    throw failed(call, 'this node has no record of it', 'Recreate the pod to attach it again.');
  const device = readSaved(record.saved);
  if (device !== undefined) checkInPod(deps, call, device, record.saved);
  const wrong = checkFunction(deps, saved);
  if (wrong.length > 0) throw failed(call, `virtual function ${saved.pci}: ${wrong.join('; ')}`);
}

function checkInPod(
  deps: SriovDeps,
  call: CheckCall<SriovConfig>,
  device: NonNullable<ReturnType<typeof readSaved>>,
  saved: JsonObject,
): void {
  const pod = deps.kernel.open(call.netns);
  try {
    checkInterface(call, pod, expectedOf(call));
    const link = pod.link({ name: call.ifname });
    if (link !== undefined && !isDevice(device, link, call.ifname))
      throw failed(call, `it is not ${device.host.name} of the host, which ADD moved there`);
    const wrong = rdmaDifferences(deps, saved, pod);
    if (wrong.length > 0) throw failed(call, wrong.join('; '));
  } finally {
    pod.close();
  }
}

function checkFunction({ kernel, sysfs }: SriovDeps, { pci, driver, vf }: SavedVf): string[] {
  const now = sysfs.pci(pci);
  if (now === undefined) return ['it is gone'];
  const wrong = now.driver === driver ? [] : [`its driver is ${now.driver ?? 'none'}, not ${driver}`];
  if (vf === undefined) return wrong;
  using pf = openPhysicalFunction(kernel, sysfs, vf.pf);
  if (pf === undefined) return [...wrong, `its physical function ${vf.pf} has no interface`];
  try {
    const state = vfDoor(pf, vf.index).read();
    return [...wrong, ...vf.set.flatMap((change) => differences(change, state))];
  } catch (error) {
    if (!isManifoldError(error, 'not-found')) throw error;
    return [...wrong, error.message];
  }
}

function failed(call: CheckCall<SriovConfig>, why: string, hint?: string): ManifoldError {
  const who = describePod(podOf(call.args), call.containerId);
  return new ManifoldError('check-failed', `Cannot confirm ${call.ifname} of ${who}: ${why}`, {
    hint: hint ?? 'Something changed it after ADD. Recreate the pod to set it up again.',
  });
}
