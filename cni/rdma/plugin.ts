// The rdma plugin, chained behind an interface plugin: the RDMA device of the interface goes into the pod, and back. Ours
// do so by themselves; this one serves definitions that name rdma-cni, and interface plugins of others.
import type { ManifoldConfig } from '../../pkg/attach/attach-interface.ts';
import { type AttachDeps, describePod, podOf } from '../../pkg/attach/deps.ts';
import { collectInterfaces, detachInterface } from '../../pkg/attach/detach-interface.ts';
import { clearRecord } from '../../pkg/attach/leftovers.ts';
import {
  hasRdma,
  moveRdma,
  planRdma,
  type RdmaDeps,
  rdmaDifferences,
  retractRdma,
  savedRdma,
} from '../../pkg/attach/rdma-device.ts';
import { finishRecord, forgetRecord } from '../../pkg/attach/records.ts';
import { type Retract, retractSafely } from '../../pkg/attach/retract.ts';
import { ofThisBoot } from '../../pkg/attach/this-boot.ts';
import type { AddCall, AttachmentCall, Call, CheckCall, Plugin } from '../../pkg/cni/plugin.ts';
import type { CniResult } from '../../pkg/cni/result.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Namespace } from '../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import type { InterfaceRecord } from '../../pkg/state/node-store.ts';
import { type RdmaConfig, rdmaConfig } from './config.ts';

export const RDMA = 'rdma';

export interface RdmaPluginDeps extends AttachDeps, RdmaDeps {
  readonly sysfs: Sysfs;
}

export function createRdmaPlugin(deps: RdmaPluginDeps): Plugin<RdmaConfig> {
  const retract = ofThisBoot(retractRdma(deps, () => []));
  return {
    name: RDMA,
    summary: "moves the RDMA device of a pod's interface into the pod, and back",
    config: rdmaConfig,
    dropIn: true,
    add: async (call) => add(deps, call, retract),
    del: (call) => detachInterface(deps, ownNetwork(call), RDMA, retract),
    check: async (call) => check(deps, call),
    status: async (call) => status(deps, call),
    gc: (call) => collectInterfaces(deps, ownNetwork(call), RDMA, retract),
  };
}

/** A record of its own beside the interface's, which has the network's name; no network can have this one. */
const ownNetwork = <C extends { readonly network: string }>(call: C): C => ({
  ...call,
  network: `${call.network}#${RDMA}`,
});

/** @returns the previous plugin's result, unchanged */
function add(deps: RdmaPluginDeps, call: AddCall<RdmaConfig>, retract: Retract): CniResult {
  const { prevResult } = call;
  if (prevResult === undefined)
    throw new ManifoldError('bad-config', 'Cannot move an RDMA device: there is no interface in prevResult', {
      hint: `"${RDMA}" stands behind an interface plugin in the list of network ${call.network}.`,
    });
  if (movedBefore(deps, call)) {
    call.log.info('RDMA device is in the pod already, with its interface', { ifname: call.ifname });
    return prevResult;
  }
  using pod = disposable(deps.kernel.open(call.netns));
  move(deps, ownNetwork(call), pod.namespace, namesOf(deps, call, prevResult, pod.namespace), retract);
  return prevResult;
}

/** An interface plugin of ours has done it. */
function movedBefore({ openStore }: RdmaPluginDeps, call: AttachmentCall<RdmaConfig>): boolean {
  const mine = ({ containerId, ifname, plugin }: InterfaceRecord) =>
    containerId === call.containerId && ifname === call.ifname && plugin !== RDMA;
  return openStore(call.config.manifold)
    .interfaces.all()
    .some((record) => mine(record) && hasRdma(record.saved));
}

interface Named {
  readonly names: readonly string[];
  /** In words. */
  readonly what: string;
}

/** @throws ManifoldError 'not-found' for a device that is not there */
function namesOf(
  { sysfs }: RdmaPluginDeps,
  { config, ifname }: AddCall<RdmaConfig>,
  prevResult: CniResult,
  pod: Namespace,
): Named {
  const reported = prevResult.interfaces?.find(({ name, sandbox }) => name === ifname && sandbox)?.pciID;
  const id =
    config.runtimeConfig?.deviceID ?? config.deviceID ?? reported ?? pod.link({ name: ifname })?.device?.name;
  const device = id === undefined ? undefined : (sysfs.pci(id) ?? sysfs.auxiliary(id));
  if (device !== undefined) return { names: device.rdmaDevices, what: id ?? '' };
  throw new ManifoldError(
    'not-found',
    `Cannot find the device of ${ifname}: ${id === undefined ? 'the interface is of no hardware' : `there is no PCI or auxiliary device ${id}`}`,
    { hint: 'Name it as "deviceID", or let the device plugin name it: capability "deviceID".' },
  );
}

function move(
  deps: RdmaPluginDeps,
  call: AddCall<RdmaConfig & ManifoldConfig>,
  pod: Namespace,
  { names, what }: Named,
  retract: Retract,
): void {
  const store = deps.openStore(call.config.manifold);
  const left = store.interfaces.get(call);
  if (left !== undefined && !clearRecord(deps, store, left, call.log, retract))
    throw new ManifoldError(
      'exists',
      `Cannot move the RDMA device of ${call.ifname}: ${describePod(left.pod, left.containerId)} has it already`,
      { hint: 'The runtime must call DEL first.' },
    );
  const devices = planRdma(deps, { wish: 'exclusive', names, what });
  const { containerId, ifname, network, netns } = call;
  const record: InterfaceRecord = {
    ...{ containerId, ifname, network, netns, plugin: RDMA },
    pod: podOf(call.args),
    netnsId: pod.id,
    state: 'adding',
    saved: savedRdma(devices),
    writer: store.writer,
  };
  deps.step('record');
  store.interfaces.claim(record);
  try {
    deps.step('put');
    moveRdma(deps, 'exclusive', devices, pod, call.log);
    deps.step('finish');
    finishRecord(store, record);
  } catch (error) {
    const problems = retractSafely(retract, { ifname, record, storeLost: false, pod, log: call.log });
    for (const reason of problems) call.log.error('could not undo', { ifname, reason });
    if (problems.length === 0) forgetRecord(store, record, call.config.manifold.runDir, call.log);
    throw error;
  }
}

function check(deps: RdmaPluginDeps, call: CheckCall<RdmaConfig>): void {
  const record = deps.openStore(call.config.manifold).interfaces.get(ownNetwork(call));
  // The interface plugin's CHECK looks itself.
  if (record === undefined && movedBefore(deps, call)) return;
  using pod = disposable(deps.kernel.open(call.netns));
  const wrong =
    record === undefined
      ? ['this node has no record of its RDMA device']
      : rdmaDifferences(deps, record.saved, pod.namespace);
  if (wrong.length > 0)
    throw new ManifoldError('check-failed', `Cannot confirm ${call.ifname}: ${wrong.join('; ')}`, {
      hint: 'Recreate the pod to attach it again.',
    });
}

function status({ rdma, kernel, openStore }: RdmaPluginDeps, { config }: Call<RdmaConfig>): void {
  openStore(config.manifold);
  if (rdma(kernel.host()).mode() === 'exclusive') return;
  throw new ManifoldError(
    'unavailable',
    'Cannot move RDMA devices: the system shares them among all namespaces',
    { hint: 'Set exclusive mode at boot: "options ib_core netns_mode=0" in /etc/modprobe.d.' },
  );
}

const disposable = (namespace: Namespace) => ({
  namespace,
  [Symbol.dispose]: () => namespace.close(),
});
