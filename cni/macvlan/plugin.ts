// The macvlan plugin: one more MAC on a NIC of the host, as an interface of the pod.
import { type Attachable, attachInterface, type Put } from '../../pkg/attach/attach-interface.ts';
import { checkInterface } from '../../pkg/attach/check-interface.ts';
import { type AttachDeps, podOf } from '../../pkg/attach/deps.ts';
import { collectInterfaces, detachInterface } from '../../pkg/attach/detach-interface.ts';
import { expectedOf } from '../../pkg/attach/interface-result.ts';
import { forwardCheck, forwardStatus, refuseCircle } from '../../pkg/attach/ipam.ts';
import { requestedMac } from '../../pkg/attach/mac-schema.ts';
import type { RdmaDeps } from '../../pkg/attach/rdma-device.ts';
import type { AddCall, Call, CheckCall, Plugin } from '../../pkg/cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { applySteps } from '../../pkg/kernel/apply.ts';
import type { Namespace } from '../../pkg/kernel/kernel.ts';
import { KernelError } from '../../pkg/kernel/kernel-error.ts';
import { NOTHING_THERE, planInterface } from '../../pkg/kernel/plan.ts';
import { type MacvlanConfig, macvlanConfig } from './config.ts';
import { findParent, findParentUp } from './parent.ts';
import { macCandidates, wantedMacvlan } from './plan.ts';
import { requireRdma } from './require-rdma.ts';
import { retractMacvlan } from './retract.ts';

const NAME = 'macvlan';

export type MacvlanDeps = AttachDeps & RdmaDeps;

export function createMacvlan(deps: MacvlanDeps): Plugin<MacvlanConfig> {
  return {
    name: NAME,
    summary: 'gives the pod a macvlan over a NIC of the host',
    config: macvlanConfig,
    add: (call) => add(deps, call),
    del: (call) => detachInterface(deps, call, NAME, retractMacvlan),
    check: (call) => check(deps, call),
    status: (call) => status(deps, call),
    gc: (call) => collectInterfaces(deps, call, NAME, retractMacvlan),
  };
}

function add(deps: MacvlanDeps, call: AddCall<MacvlanConfig>) {
  const { config } = call;
  const requested = requestedMac(config, call.args);
  // Checked before anything is written or made; in the pod's namespace the parent is found when it is open.
  const host = deps.kernel.host();
  if (!config.linkInContainer) requireRdma(deps, call, host, findParentUp(host, config, call.network));
  const macs = macCandidates(config, requested, {
    podUid: podOf(call.args).uid,
    containerId: call.containerId,
    ifname: call.ifname,
    network: call.network,
  });
  const what: Attachable = {
    plugin: NAME,
    save: () => ({}),
    put: (pod) => put(deps, call, pod, macs),
    putUndoesItself: true,
    retract: retractMacvlan,
  };
  return attachInterface(deps, call, what);
}

/** Created in the pod's namespace under its final name, and brought up: only then does the kernel compare MACs. */
function put(
  deps: MacvlanDeps,
  call: AddCall<MacvlanConfig>,
  pod: Namespace,
  macs: readonly (string | undefined)[],
): Put {
  const { config, ifname } = call;
  const place = config.linkInContainer ? pod : deps.kernel.host();
  const parent = findParentUp(place, config, call.network);
  if (config.linkInContainer) requireRdma(deps, call, place, parent);
  const [mac, ...others] = macs;
  const wanted = wantedMacvlan(config, parent, ifname, mac);
  const report = (text: string) => call.log.error('could not undo', { ifname, reason: text });
  try {
    const steps = planInterface(
      { name: ifname, macvlan: wanted, addresses: [], routes: [], sysctls: [] },
      NOTHING_THERE,
    );
    const applied = applySteps(steps, { parent: place, pod, name: ifname, report });
    const link = pod.link({ index: applied.index });
    if (link === undefined)
      throw new ManifoldError('kernel', `Cannot find ${ifname} right after it was created`);
    return { link, saved: { index: link.index, mac: link.mac } };
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'EADDRINUSE')) throw error;
    if (others.length > 0) return put(deps, call, pod, others);
    throw new ManifoldError(
      'exists',
      `Cannot use MAC ${mac ?? ''} for ${ifname}: another macvlan on ${parent.name} has it`,
      {
        hint: 'Give each pod its own "mac", or leave it out: Manifold then derives one from the pod.',
        cause: error,
      },
    );
  }
}

async function check(deps: MacvlanDeps, call: CheckCall<MacvlanConfig>): Promise<void> {
  await forwardCheck(call);
  const pod = deps.kernel.open(call.netns);
  try {
    const { config } = call;
    const parent = findParent(config.linkInContainer ? pod : deps.kernel.host(), config, call.network);
    const expected = expectedOf(call);
    // MAC and MTU are held to prevResult, not to the configuration: a later plugin may have changed both.
    const wanted = wantedMacvlan({ ...config, mtu: 0 }, parent, call.ifname, undefined);
    checkInterface(call, pod, expected, wanted);
  } finally {
    pod.close();
  }
}

async function status(deps: MacvlanDeps, call: Call<MacvlanConfig>): Promise<void> {
  const host = deps.kernel.host();
  try {
    if (!call.config.linkInContainer)
      requireRdma(deps, call, host, findParentUp(host, call.config, call.network));
  } catch (error) {
    if (!isManifoldError(error, 'not-found', 'bad-config', 'kernel', 'unsupported-field')) throw error;
    throw new ManifoldError('unavailable', error.message, {
      cause: error,
      ...(error.hint ? { hint: error.hint } : {}),
    });
  }
  requireKernelSupport(host);
  deps.openStore(call.config.manifold);
  refuseCircle(call, NAME);
  await forwardStatus(call);
}

/** No parent has this index, so nothing is made: a kernel with macvlan says ENODEV, one without EOPNOTSUPP. */
function requireKernelSupport(host: Namespace): void {
  try {
    host.createMacvlan({ name: 'manifold-probe', parentIndex: 0x7fffffff, mode: 'bridge' }, host);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno !== 'EOPNOTSUPP') return;
    throw new ManifoldError(
      'unavailable',
      'Cannot create macvlan interfaces: this kernel has no macvlan support',
      {
        hint: 'Load the module (modprobe macvlan) or run a kernel with CONFIG_MACVLAN.',
        cause: error,
      },
    );
  }
}
