// The host-device plugin: a NIC of the host becomes the pod's own, and comes back as it was.
import { attachInterface, type Put } from '../../pkg/attach/attach-interface.ts';
import { checkInterface } from '../../pkg/attach/check-interface.ts';
import type { AttachDeps } from '../../pkg/attach/deps.ts';
import { collectInterfaces, detachInterface } from '../../pkg/attach/detach-interface.ts';
import { readHostNetwork, refuseInUse, refuseInUseNow } from '../../pkg/attach/device-in-use.ts';
import {
  pciDeviceInfo,
  retractDeviceInfo,
  savedDeviceInfo,
  writeDeviceInfo,
} from '../../pkg/attach/device-info.ts';
import { expectedOf } from '../../pkg/attach/interface-result.ts';
import { forwardCheck, forwardStatus, refuseCircle } from '../../pkg/attach/ipam.ts';
import { moveIntoPod, saveDevice } from '../../pkg/attach/put-device.ts';
import type { RdmaDeps } from '../../pkg/attach/rdma-device.ts';
import { moveRdma, planRdma, rdmaDifferences, retractRdma, savedRdma } from '../../pkg/attach/rdma-device.ts';
import type { Retract } from '../../pkg/attach/retract.ts';
import { createRetractDevice } from '../../pkg/attach/retract-device.ts';
import { isDevice, readSaved } from '../../pkg/attach/saved-device.ts';
import { ofThisBoot } from '../../pkg/attach/this-boot.ts';
import type { AddCall, Call, CheckCall, DelCall, GcCall, Plugin } from '../../pkg/cni/plugin.ts';
import type { CniResult } from '../../pkg/cni/result.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import { describeSelector, type HostDeviceConfig, hostDeviceConfig } from './config.ts';
import { locateFree } from './holder.ts';
import type { Located } from './locate.ts';
import { vfsInUse } from './vfs-in-use.ts';

const NAME = 'host-device';

type LocatedLink = Extract<Located, { kind: 'link' }>;

export interface HostDeviceDeps extends AttachDeps, RdmaDeps {
  readonly sysfs: Sysfs;
}

export function createHostDevice(deps: HostDeviceDeps): Plugin<HostDeviceConfig> {
  const retract = createRetract(deps);
  return {
    name: NAME,
    summary: 'moves a NIC of the host into the pod, and back as it was',
    config: hostDeviceConfig,
    add: (call) => add(deps, call),
    del: (call: DelCall<HostDeviceConfig>) =>
      detachInterface(deps, call, NAME, createRetract(deps, call.config.device)),
    check: (call) => check(deps, call),
    status: (call) => status(deps, call),
    gc: (call: GcCall<HostDeviceConfig>) => collectInterfaces(deps, call, NAME, retract),
  };
}

/** @param homeName where the store is lost */
const createRetract = (deps: HostDeviceDeps, homeName?: string): Retract =>
  retractDeviceInfo(ofThisBoot(retractRdma(deps, createRetractDevice(deps.kernel, homeName))));

async function add(deps: HostDeviceDeps, call: AddCall<HostDeviceConfig>): Promise<CniResult> {
  const retract = createRetract(deps);
  const located = locateFree(deps, call, retract);
  const { pci } = located;
  refuseVfsInUse(deps, call, located);
  const info = pci === undefined ? undefined : call.config.runtimeConfig?.CNIDeviceInfoFile;
  const told = <P extends Put>(put: P): P & Pick<Put, 'extra'> => {
    if (pci === undefined) return put;
    writeDeviceInfo(info, pciDeviceInfo(pci));
    return { ...put, extra: { pciID: pci.address } };
  };
  const what = { plugin: NAME, device: located.key, putUndoesItself: false, retract };
  if (located.kind === 'user-space') {
    const save = () => ({ driver: located.driver, outside: true, ...savedDeviceInfo(info) });
    return attachInterface(deps, call, {
      ...what,
      save,
      put: (_, saved) => told({ link: undefined, saved }),
    });
  }
  const host = deps.kernel.host();
  refuseInUse(call, located.link, readHostNetwork(host));
  const wish = call.config.manifold.rdma;
  const rdma = requireRdma(deps, call.config, located);
  return attachInterface(deps, call, {
    ...what,
    save: () => ({ ...saveDevice(host, located.link), ...savedDeviceInfo(info), ...savedRdma(rdma) }),
    put: (pod, saved) => {
      const moved = moveRdma(deps, wish, rdma, pod, call.log);
      const link = moveIntoPod(host, pod, located.link, call.ifname);
      return told({ link, saved: { ...saved, index: link.index, ...savedRdma(moved) } });
    },
  });
}

/** @throws ManifoldError as planRdma */
const requireRdma = (deps: HostDeviceDeps, { manifold }: HostDeviceConfig, located: LocatedLink) =>
  planRdma(deps, { wish: manifold.rdma, names: rdmaNames(deps.sysfs, located), what: located.link.name });

function rdmaNames(sysfs: Sysfs, { link, pci }: LocatedLink): readonly string[] {
  if (link.device?.bus === 'auxiliary') return sysfs.auxiliary(link.device.name)?.rdmaDevices ?? [];
  return pci?.rdmaDevices ?? [];
}

function refuseVfsInUse(
  { sysfs, openStore }: HostDeviceDeps,
  { config, log, network }: Call<HostDeviceConfig>,
  { pci }: Located,
): void {
  const inUse = pci === undefined ? [] : vfsInUse(sysfs, openStore(config.manifold), pci.address);
  if (inUse.length === 0) return;
  if (config.manifold.force) {
    log.warn('taken although its virtual functions are in use', { device: pci?.address ?? '', inUse });
    return;
  }
  throw new ManifoldError(
    'device-held',
    `Cannot take ${describeSelector(config)}: its virtual functions are in use: ${inUse.join(', ')}`,
    {
      hint: `They would lose their wire. Free them, name another device in network ${network}, or set "manifold": {"force": true} if it is meant.`,
    },
  );
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
    const wrong = rdmaDifferences(deps, record.saved, pod);
    if (wrong.length > 0)
      throw new ManifoldError('check-failed', `Cannot confirm ${call.ifname}: ${wrong.join('; ')}`);
  } finally {
    pod.close();
  }
}

async function status(deps: HostDeviceDeps, call: Call<HostDeviceConfig>): Promise<void> {
  try {
    const located = locateFree(deps, call, undefined);
    refuseVfsInUse(deps, call, located);
    if (located.kind === 'link') {
      requireRdma(deps, call.config, located);
      refuseInUseNow(call, located.link, deps.kernel.host());
    }
  } catch (error) {
    if (!isManifoldError(error, 'not-found', 'device-held', 'unsupported-field')) throw error;
    throw new ManifoldError('unavailable', error.message, {
      cause: error,
      hint: error.hint ?? `Look at ${describeSelector(call.config)}.`,
    });
  }
  refuseCircle(call, NAME);
  await forwardStatus(call);
}
