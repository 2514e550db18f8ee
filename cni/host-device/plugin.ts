// The host-device plugin: a NIC of the host becomes the pod's own, and comes back as it was.
import { attachInterface, type PutLink } from '../../pkg/attach/attach-interface.ts';
import { checkInterface } from '../../pkg/attach/check-interface.ts';
import type { AttachDeps } from '../../pkg/attach/deps.ts';
import { collectInterfaces, detachInterface } from '../../pkg/attach/detach-interface.ts';
import { expectedOf } from '../../pkg/attach/interface-result.ts';
import { forwardCheck, forwardStatus, refuseCircle } from '../../pkg/attach/ipam.ts';
import type { AddCall, Call, CheckCall, DelCall, GcCall, Plugin } from '../../pkg/cni/plugin.ts';
import type { CniResult } from '../../pkg/cni/result.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link, Namespace } from '../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../pkg/kernel/sysfs.ts';
import { describeSelector, type HostDeviceConfig, hostDeviceConfig } from './config.ts';
import { locateFree } from './holder.ts';
import { reasonsToRefuse } from './refusal.ts';
import { createRetractDevice } from './retract.ts';
import { deviceKey, isDevice, readSaved, saveDevice } from './saved-device.ts';

const NAME = 'host-device';

export interface HostDeviceDeps extends AttachDeps {
  readonly sysfs: Sysfs;
}

export function createHostDevice(deps: HostDeviceDeps): Plugin<HostDeviceConfig> {
  const retract = createRetractDevice(deps.kernel);
  return {
    name: NAME,
    summary: 'moves a NIC of the host into the pod, and back as it was',
    config: hostDeviceConfig,
    add: (call) => add(deps, call),
    del: (call: DelCall<HostDeviceConfig>) =>
      detachInterface(deps, call, NAME, createRetractDevice(deps.kernel, call.config)),
    check: (call) => check(deps, call),
    status: (call) => status(deps, call),
    gc: (call: GcCall<HostDeviceConfig>) => collectInterfaces(deps, call, NAME, retract),
  };
}

async function add(deps: HostDeviceDeps, call: AddCall<HostDeviceConfig>): Promise<CniResult> {
  const retract = createRetractDevice(deps.kernel);
  const located = locateFree(deps, call, retract);
  if (located.kind === 'user-space')
    return attachInterface(deps, call, {
      plugin: NAME,
      device: `pci:${located.pci}`,
      saved: { driver: located.driver, outside: true },
      put: undefined,
      putUndoesItself: false,
      retract,
      extra: { pciID: located.pci },
    });
  const { link, pci } = located;
  const host = deps.kernel.host();
  const network = { links: host.links(), addresses: host.addresses(), routes: host.routes() };
  refuseInUse(call, link, reasonsToRefuse(link, network));
  const saved = saveDevice(
    link,
    network.addresses.filter((address) => address.index === link.index),
    network.routes.filter((route) => route.index === link.index),
    network.links.find((one) => one.index === link.masterIndex),
  );
  return attachInterface(deps, call, {
    plugin: NAME,
    device: deviceKey(link),
    saved,
    put: (pod) => put(host, pod, call, link, saved),
    putUndoesItself: false,
    retract,
    ...(pci === undefined ? {} : { extra: { pciID: pci } }),
  });
}

/** Moved and renamed in one message, so that no udev rule sees a new name on the host in between. */
function put(
  host: Namespace,
  pod: Namespace,
  call: AddCall<HostDeviceConfig>,
  link: Link,
  saved: ReturnType<typeof saveDevice>,
): PutLink {
  const { ifname } = call;
  // An interface may not have its own name as an alternative name.
  if (link.altnames.includes(ifname)) host.setLink(link.index, { removeAltnames: [ifname] });
  if (link.up) host.setLink(link.index, { up: false });
  const index = host.moveLink(link.index, pod, { name: ifname });
  const moved = pod.link({ index });
  if (moved === undefined)
    throw new ManifoldError('kernel', `Cannot find ${ifname} right after ${link.name} was moved`);
  return { link: moved, saved: { ...saved, index } };
}

function refuseInUse(call: AddCall<HostDeviceConfig>, link: Link, reasons: readonly string[]): void {
  if (link.loopback)
    throw new ManifoldError(
      'bad-config',
      `Cannot take ${link.name}: a loopback interface cannot leave its namespace`,
    );
  if (reasons.length === 0) return;
  if (!call.config.manifold.force) throw refusal(call, link, reasons);
  call.log.warn('device is in use by the host and taken all the same', { device: link.name, reasons });
}

function refusal(call: Call<HostDeviceConfig>, link: Link, reasons: readonly string[]): ManifoldError {
  return new ManifoldError('device-held', `Cannot take ${link.name} from the host: ${reasons.join('; ')}`, {
    hint: `The host would lose it for the life of the pod. Name another device in network ${call.network}, free this one, or set "manifold": {"force": true} if it is meant.`,
  });
}

async function check(deps: HostDeviceDeps, call: CheckCall<HostDeviceConfig>): Promise<void> {
  await forwardCheck(call);
  const record = deps.openStore(call.config.manifold).interfaces.get(call);
  if (record === undefined)
    throw new ManifoldError('check-failed', `Cannot confirm ${call.ifname}: this node has no record of it`, {
      hint: 'Recreate the pod to attach it again.',
    });
  const saved = readSaved(record.saved);
  if (saved === undefined) return; // a user-space driver has it: nothing of it is in the pod
  const pod = deps.kernel.open(call.netns);
  try {
    checkInterface(call, pod, expectedOf(call));
    const link = pod.link({ name: call.ifname });
    if (link !== undefined && !isDevice(saved, link, call.ifname))
      throw new ManifoldError(
        'check-failed',
        `Cannot confirm ${call.ifname}: it is not ${saved.host.name} of the host, which ADD moved there`,
      );
  } finally {
    pod.close();
  }
}

async function status(deps: HostDeviceDeps, call: Call<HostDeviceConfig>): Promise<void> {
  try {
    const located = locateFree(deps, call, undefined);
    if (located.kind === 'link' && !call.config.manifold.force) {
      const host = deps.kernel.host();
      const network = { links: host.links(), addresses: host.addresses(), routes: host.routes() };
      const reasons = reasonsToRefuse(located.link, network);
      if (reasons.length > 0) throw refusal(call, located.link, reasons);
    }
  } catch (error) {
    if (!isManifoldError(error, 'not-found', 'device-held')) throw error;
    throw new ManifoldError('unavailable', error.message, {
      cause: error,
      hint: error.hint ?? `Look at ${describeSelector(call.config)}.`,
    });
  }
  refuseCircle(call, NAME);
  await forwardStatus(call);
}
