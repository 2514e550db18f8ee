// The RDMA device of an interface: into the pod with it while the system is in exclusive mode, and back under its name.
import * as v from 'valibot';
import type { JsonObject } from '../cni/plugin.ts';
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import { monotonicMs, sleep } from '../kernel/clock.ts';
import type { Kernel, Namespace } from '../kernel/kernel.ts';
import { isErrno } from '../kernel/kernel-error.ts';
import { lookElsewhere } from '../kernel/look-elsewhere.ts';
import type { OpenRdma, Rdma, RdmaDevice } from '../kernel/rdma.ts';
import type { Logger } from '../log/logger.ts';
import type { Retract } from './retract.ts';

export interface RdmaDeps {
  readonly kernel: Kernel;
  readonly rdma: OpenRdma;
}

/**
 * The value of `manifold.rdma`. auto: the device goes along where that can be. require: as auto, and the pod must be
 * able to use RDMA. exclusive: as require, and alone. off: it stays.
 */
export const RDMA_WISHES = ['auto', 'require', 'exclusive', 'off'] as const;
export type RdmaWish = (typeof RDMA_WISHES)[number];

const savedSchema = v.object({ rdma: v.array(v.object({ index: v.number(), name: v.string() })) });

/** Of a record: the devices that ADD moves. */
export type SavedRdma = v.InferOutput<typeof savedSchema>;

const readSaved = (saved: JsonObject): SavedRdma['rdma'] => {
  const parsed = v.safeParse(savedSchema, saved);
  return parsed.success ? parsed.output.rdma : [];
};

/** Whether a record's ADD has moved any. */
export const hasRdma = (saved: JsonObject): boolean => readSaved(saved).length > 0;

/** A record's part of it, which says nothing when nothing moves. */
export const savedRdma = (devices: SavedRdma['rdma']): { readonly rdma: SavedRdma['rdma'] | undefined } => ({
  rdma: devices.length === 0 ? undefined : devices,
});

export interface RdmaRequest {
  readonly wish: RdmaWish;
  /** Names of the RDMA devices, as sysfs has them under the device. */
  readonly names: readonly string[];
  /** The device in words, for refusals. */
  readonly what: string;
}

/**
 * Which RDMA devices are to move. Asks the kernel only where there is something to ask.
 * @throws ManifoldError 'not-found', 'unsupported-field': what the configuration requires is not so
 */
export function planRdma({ kernel, rdma }: RdmaDeps, { wish, names, what }: RdmaRequest): SavedRdma['rdma'] {
  if (wish === 'off' || (wish === 'auto' && names.length === 0)) return [];
  if (names.length === 0)
    throw new ManifoldError('not-found', `Cannot give RDMA to the pod: ${what} has no RDMA device`, {
      hint: 'Load the RDMA driver of the device (mlx5_ib, irdma, bnxt_re, rdma_rxe), choose devices by "isRdma" in the device plugin, or take "manifold": {"rdma"} out of the network.',
    });
  const host = rdma(kernel.host());
  if (host.mode() === 'exclusive') {
    const mine = host.devices().filter(({ name }) => names.includes(name));
    if (mine.length > 0 || wish === 'auto') return mine.map(({ index, name }) => ({ index, name }));
    throw new ManifoldError(
      'not-found',
      `Cannot give RDMA to the pod: ${names.join(', ')} of ${what} is not on the host`,
      { hint: 'Bring it back from the namespace that it was moved to: rdma dev set NAME netns 1.' },
    );
  }
  if (wish !== 'exclusive') return [];
  throw new ManifoldError(
    'unsupported-field',
    `Cannot give RDMA device ${names.join(', ')} of ${what} to the pod alone: the system shares its RDMA devices among all namespaces`,
    {
      hint: 'Set exclusive mode at boot: "options ib_core netns_mode=0" in /etc/modprobe.d, or "rdma system set netns exclusive" while there is no pod yet.',
    },
  );
}

/**
 * Before the interface itself: an InfiniBand interface is made anew where its RDMA device goes.
 * @returns those that have moved: with the wish "auto" a driver that takes no device from its users keeps it
 * @throws ManifoldError of the kernel; what has moved is put back by the record
 */
export function moveRdma(
  { kernel, rdma }: RdmaDeps,
  wish: RdmaWish,
  devices: SavedRdma['rdma'],
  pod: Namespace,
  log: Logger,
): SavedRdma['rdma'] {
  const host = kernel.host();
  return devices.filter(({ index, name }) => {
    try {
      rdma(host).move(index, pod);
      return true;
    } catch (error) {
      if (wish !== 'auto' || !isManifoldError(error, 'unsupported-field')) throw error;
      log.warn('RDMA device stays on the host', { device: name, reason: error.message });
      return false;
    }
  });
}

/** @returns what is otherwise than ADD left it, in words */
export function rdmaDifferences({ rdma }: RdmaDeps, saved: JsonObject, pod: Namespace): string[] {
  const devices = readSaved(saved);
  if (devices.length === 0) return [];
  const there = rdma(pod).devices();
  return devices
    .filter(({ index }) => !there.some((one) => one.index === index))
    .map(({ name }) => `its RDMA device ${name} is not in the pod`);
}

/** Brings the RDMA devices of the record home first, then does the rest. */
export function retractRdma(deps: RdmaDeps, retract: Retract): Retract {
  return (target) => {
    const devices = target.record === undefined ? [] : readSaved(target.record.saved);
    const problems = devices.flatMap((device) => {
      try {
        return bringHome(deps, device, target.pod, target.log);
      } catch (error) {
        if (!isManifoldError(error)) throw error;
        return [error.message];
      }
    });
    return [...problems, ...retract(target)];
  };
}

type Saved = SavedRdma['rdma'][number];

/** The kernel's clean-up of a namespace gives an RDMA device back to the first namespace, some time later. */
const RETURN_MS = 3000;
const LOOK_EVERY_MS = 20;

/** @param pod undefined: its namespace is gone */
function bringHome(
  { kernel, rdma }: RdmaDeps,
  device: Saved,
  pod: Namespace | undefined,
  log: Logger,
): string[] {
  const host = kernel.host();
  const home = rdma(host);
  const fetch = (from: Namespace, found: RdmaDevice): RdmaDevice => {
    rdma(from).move(found.index, host);
    return found;
  };
  const fromPod = () => {
    const found = pod && findMoved(rdma(pod), device);
    return pod && found && fetch(pod, found);
  };
  const fromElsewhere = () => {
    const elsewhere = lookElsewhere(kernel, (namespace) => find(rdma(namespace), device));
    if (elsewhere === undefined) return undefined;
    try {
      return fetch(elsewhere.namespace, elsewhere.found);
    } finally {
      elsewhere.namespace.close();
    }
  };
  const found =
    find(home, device) ??
    (home.mode() === 'shared' ? undefined : (fromPod() ?? fromElsewhere())) ??
    (pod === undefined ? waitForReturn(home, device) : undefined);
  if (found !== undefined) return renameHome(home, found, device);
  // Its driver was unbound or bound again meanwhile: the kernel has made another, and that one on the host.
  log.warn('RDMA device is nowhere to be found', { device: device.name });
  return [];
}

const find = (rdma: Rdma, { index }: Saved) => rdma.devices().find((one) => one.index === index);

/** Made anew by an ADD that died then, it has its name and another index. */
const findMoved = (rdma: Rdma, device: Saved) =>
  find(rdma, device) ?? rdma.devices().find(({ name }) => name === device.name);

function waitForReturn(home: Rdma, device: Saved): RdmaDevice | undefined {
  if (home.mode() === 'shared') return undefined;
  const end = monotonicMs() + RETURN_MS;
  while (monotonicMs() < end) {
    sleep(LOOK_EVERY_MS);
    const found = find(home, device);
    if (found !== undefined) return found;
  }
  return undefined;
}

function renameHome(home: Rdma, found: RdmaDevice, { name }: Saved): string[] {
  if (found.name === name) return [];
  try {
    home.rename(found.index, name);
    return [];
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    return [`the name ${name} of its RDMA device is taken: it is ${found.name} now`];
  }
}
