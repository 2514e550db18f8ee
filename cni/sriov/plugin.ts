// The sriov plugin: a virtual function becomes the pod's own, set up through its physical one, and comes back as it was.
import { attachInterface, type Put } from '../../pkg/attach/attach-interface.ts';
import { collectInterfaces, detachInterface } from '../../pkg/attach/detach-interface.ts';
import { refuseInUseNow } from '../../pkg/attach/device-in-use.ts';
import {
  pciDeviceInfo,
  retractDeviceInfo,
  savedDeviceInfo,
  writeDeviceInfo,
} from '../../pkg/attach/device-info.ts';
import { freeDevice } from '../../pkg/attach/free-device.ts';
import { forwardStatus, refuseCircle } from '../../pkg/attach/ipam.ts';
import { requestedMac } from '../../pkg/attach/mac-schema.ts';
import { moveIntoPod, saveDevice } from '../../pkg/attach/put-device.ts';
import { moveRdma, planRdma, retractRdma, savedRdma } from '../../pkg/attach/rdma-device.ts';
import type { Retract } from '../../pkg/attach/retract.ts';
import { ofThisBoot } from '../../pkg/attach/this-boot.ts';
import type { AddCall, AttachmentCall, Call, Plugin } from '../../pkg/cni/plugin.ts';
import type { CniResult } from '../../pkg/cni/result.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { check } from './check.ts';
import { rdmaWish, requireDevice, type SriovConfig, sriovConfig, withLogging } from './config.ts';
import { type LocatedVf, locateVf, vfKey } from './locate.ts';
import { openPhysicalFunction, type PhysicalFunction } from './physical-function.ts';
import { refuseImpossible } from './refuse.ts';
import { createRetractVf, type SriovDeps } from './retract.ts';
import { configure, knownMac, saveVf, type Way } from './set-up.ts';
import { vfDoor } from './vf-door.ts';

const NAME = 'sriov';

export function createSriov(deps: SriovDeps): Plugin<SriovConfig> {
  const retract = retractDeviceInfo(ofThisBoot(retractRdma(deps, createRetractVf(deps))));
  return {
    name: NAME,
    summary: 'moves an SR-IOV virtual function into the pod, and back as it was',
    config: sriovConfig,
    complete: (raw) => ({ config: withLogging(raw), remarks: [] }),
    add: (call) => add(deps, call, retract),
    del: (call) => detachInterface(deps, call, NAME, retract),
    check: (call) => check(deps, call),
    status: (call) => status(deps, call),
    gc: (call) => collectInterfaces(deps, call, NAME, retract),
  };
}

/** The physical function is open as long as the ADD takes. */
async function add(deps: SriovDeps, call: AddCall<SriovConfig>, retract: Retract): Promise<CniResult> {
  const vf = locateFree(deps, call, retract);
  using pf = vf.pf === undefined ? undefined : openPf(deps, vf.pf.address);
  const door = pf === undefined || vf.pf === undefined ? undefined : vfDoor(pf, vf.pf.index);
  const infiniband = (pf?.link() ?? vf.host?.link)?.infiniband ?? false;
  const way: Way = { door, infiniband, mac: requestedMac(call.config, call.args) };
  refuseImpossible(deps, call, vf, pf, way);
  const host = deps.kernel.host();
  const info = call.config.runtimeConfig?.CNIDeviceInfoFile;
  const wish = rdmaWish(call.config);
  const { address } = vf.pci;
  const rdma = requireRdma(deps, call.config, vf);
  return await attachInterface(deps, call, {
    plugin: NAME,
    device: vfKey(vf.pci.address),
    save: () => ({
      ...(vf.host === undefined ? { outside: true } : saveDevice(host, vf.host.link)),
      ...saveVf(deps, call.config, vf, way),
      ...savedDeviceInfo(info),
      ...savedRdma(rdma),
    }),
    put: (pod, before): Put => {
      const { found, link: ready } = configure(deps, call, vf, way, before);
      // Bound again, the virtual function has another RDMA device, under the same name.
      const isAnew = ready?.index !== vf.host?.link.index;
      const now = isAnew ? requireRdma(deps, call.config, vf) : rdma;
      const moved = moveRdma(deps, wish, now, pod, call.log);
      const saved = { ...before, ...found, ...savedRdma(moved) };
      const extra = { pciID: address };
      writeDeviceInfo(info, pciDeviceInfo(vf.pci));
      if (ready === undefined) return { link: undefined, saved, extra: { ...extra, ...knownMac(way) } };
      const link = moveIntoPod(host, pod, ready, call.ifname);
      return { link, saved: { ...saved, index: link.index }, extra };
    },
    putUndoesItself: false,
    retract,
  });
}

/** @throws ManifoldError as planRdma */
const requireRdma = (deps: SriovDeps, config: SriovConfig, { pci }: LocatedVf) =>
  planRdma(deps, { wish: rdmaWish(config), names: pci.rdmaDevices, what: pci.address });

/** @param retract undefined: STATUS, which changes nothing */
function locateFree(
  deps: SriovDeps,
  call: Call<SriovConfig> | AttachmentCall<SriovConfig>,
  retract: Retract | undefined,
): LocatedVf {
  const device = requireDevice(call.config);
  const store = deps.openStore(call.config.manifold);
  const holder = store.interfaces.byDevice(vfKey(device));
  if (holder !== undefined)
    freeDevice(deps, store, call, NAME, holder, `virtual function ${device}`, retract);
  return locateVf(deps.kernel, deps.sysfs, device);
}

function openPf(deps: SriovDeps, address: string): PhysicalFunction {
  const pf = openPhysicalFunction(deps.kernel, deps.sysfs, address);
  if (pf !== undefined) return pf;
  throw new ManifoldError(
    'not-found',
    `Cannot set up a virtual function of ${address}: that physical function has no interface in any namespace that can be seen`,
    { hint: `Bind its network driver; see /sys/bus/pci/devices/${address}/driver.` },
  );
}

/** Called with no device (a device plugin names it at ADD), it speaks for the IPAM plugin alone. */
async function status(deps: SriovDeps, call: Call<SriovConfig>): Promise<void> {
  const { deviceID, runtimeConfig } = call.config;
  deps.openStore(call.config.manifold);
  if ((deviceID ?? runtimeConfig?.deviceID) !== undefined) {
    try {
      const vf = locateFree(deps, call, undefined);
      if (vf.pf !== undefined) openPf(deps, vf.pf.address)[Symbol.dispose]();
      requireRdma(deps, call.config, vf);
      if (vf.host !== undefined) refuseInUseNow(call, vf.host.link, deps.kernel.host());
    } catch (error) {
      if (!isManifoldError(error, 'not-found', 'device-held', 'bad-config', 'unsupported-field')) throw error;
      throw new ManifoldError('unavailable', error.message, {
        cause: error,
        ...(error.hint ? { hint: error.hint } : {}),
      });
    }
  }
  refuseCircle(call, NAME);
  await forwardStatus(call);
}
