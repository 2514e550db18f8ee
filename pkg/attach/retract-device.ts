// Brings a device back to the host and makes it what it was, wherever it is now: in the pod under any name, or on the
// host under the name that it had in the pod (so the kernel returns it when a namespace dies).
import { isManifoldError } from '../errors/manifold-error.ts';
import { monotonicMs, sleep } from '../kernel/clock.ts';
import type { Kernel, Link, Namespace } from '../kernel/kernel.ts';
import { isErrno } from '../kernel/kernel-error.ts';
import { lookElsewhere } from '../kernel/look-elsewhere.ts';
import { restoreDevice } from './restore-device.ts';
import type { Retract, RetractTarget } from './retract.ts';
import { isDevice, readSaved, type SavedDevice } from './saved-device.ts';

/** The kernel's clean-up of a namespace took up to a second in the machine of docs/notes/sriov.md. */
const RETURN_MS = 3000;
const LOOK_EVERY_MS = 20;

/**
 * @param kernel gives the host's namespace
 * @param homeName of DEL's own configuration: with the store lost, the device goes home under this name
 */
export function createRetractDevice(kernel: Kernel, homeName?: string): Retract {
  return (target) => {
    const { record, storeLost, log } = target;
    const saved = record === undefined ? undefined : readSaved(record.saved);
    if (saved === undefined) {
      // Without a note of what the device was there is nothing to put back: never moved, or a user-space driver.
      if (storeLost && homeName !== undefined) sendHome(kernel.host(), target, homeName);
      return [];
    }
    const problems: string[] = [];
    const device = bringHome(kernel, target, saved, (text) => problems.push(text));
    if (device === undefined) {
      log.warn('device is nowhere to be found: unplugged, or moved on by the pod', {
        device: saved.host.name,
      });
      return problems;
    }
    return [...problems, ...restoreDevice(kernel.host(), device.index, saved, log)];
  };
}

/** Nobody knows what the device was: it goes back under the host's name, or stays where the kernel returns it. */
function sendHome(host: Namespace, { pod, ifname, log }: RetractTarget, name: string): void {
  const link = pod?.link({ name: ifname });
  if (pod === undefined || link === undefined || link.kind === 'macvlan') return;
  if (host.link({ name }) !== undefined) return;
  pod.moveLink(link.index, host, { name });
  log.warn('device sent home without a note of what it was: MTU, MAC and flags are the pod\u2019s', {
    device: name,
  });
}

/**
 * Moves the device to the host, from wherever it is, and gives it its name.
 * @param report told when the name cannot be given
 * @param readAtHome the device on the host, by what identifies it beyond its record: sysfs
 * @returns the device on the host; undefined when it is nowhere
 */
export function bringHome(
  kernel: Kernel,
  { pod, ifname }: Pick<RetractTarget, 'pod' | 'ifname'>,
  saved: SavedDevice,
  report: (text: string) => void,
  readAtHome: () => Link | undefined = () => undefined,
): Link | undefined {
  const host = kernel.host();
  const findAtHome = () => readAtHome() ?? findDevice(host, saved, undefined);
  // An ADD that died early has not moved it yet.
  const stayed = saved.index === undefined && findAtHome() !== undefined;
  const inPod = pod === undefined || stayed ? undefined : findDevice(pod, saved, ifname);
  const home =
    pod === undefined || inPod === undefined ? undefined : { index: moveHome(host, pod, inPod, saved) };
  const device =
    (home === undefined ? findAtHome() : host.link(home)) ??
    fetchFromElsewhere(kernel, saved) ??
    (pod === undefined ? waitForReturn(saved, findAtHome) : undefined);
  if (device !== undefined) renameHome(host, device, saved, report);
  return device;
}

/** A pod may have moved it on. What has no place on a bus is not looked for: another link could be taken for it. */
function fetchFromElsewhere(kernel: Kernel, saved: SavedDevice): Link | undefined {
  if (saved.host.bus === undefined) return undefined;
  const elsewhere = lookElsewhere(kernel, (namespace) => findDevice(namespace, saved, undefined));
  if (elsewhere === undefined) return undefined;
  const { namespace, found } = elsewhere;
  try {
    return kernel.host().link({ index: moveHome(kernel.host(), namespace, found, saved) });
  } finally {
    namespace.close();
  }
}

/** A namespace gives back what was in it some time after it is gone; a virtual device dies with it. */
function waitForReturn({ host }: SavedDevice, findAtHome: () => Link | undefined): Link | undefined {
  const end = monotonicMs() + RETURN_MS;
  while (host.kind === undefined && monotonicMs() < end) {
    sleep(LOOK_EVERY_MS);
    const device = findAtHome();
    if (device !== undefined) return device;
  }
  return undefined;
}

function findDevice(place: Namespace, saved: SavedDevice, podName: string | undefined): Link | undefined {
  const { index } = saved;
  const known = podName === undefined || index === undefined ? undefined : place.link({ index });
  if (known !== undefined && isDevice(saved, known, podName)) return known;
  return place.links().find((link) => isDevice(saved, link, podName));
}

function moveHome(host: Namespace, from: Namespace, link: Link, saved: SavedDevice): number {
  const { name } = saved.host;
  // A name of the pod's own, or one that the host has by now, would forbid the move. Lost ones are restored later.
  const inTheWay = link.altnames.filter(
    (altname) => !saved.host.altnames.includes(altname) || host.link({ name: altname }) !== undefined,
  );
  if (inTheWay.length > 0) from.setLink(link.index, { removeAltnames: inTheWay });
  // Where its name is taken meanwhile it comes back under another: renameHome reports that.
  return from.moveLink(link.index, host, { name: host.link({ name }) === undefined ? name : freeName(host) });
}

/** A name that no link has: where the device's own is taken meanwhile. */
function freeName(host: Namespace): string {
  for (let n = 0; ; n++) {
    const name = `mfold${n}`;
    if (host.link({ name }) === undefined) return name;
  }
}

function renameHome(host: Namespace, device: Link, saved: SavedDevice, report: (text: string) => void): void {
  const { name } = saved.host;
  if (device.name === name) return;
  try {
    if (device.altnames.includes(name)) host.setLink(device.index, { removeAltnames: [name] });
    if (device.up) host.setLink(device.index, { up: false });
    host.setLink(device.index, { name });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    report(
      isErrno(error, 'EEXIST')
        ? `its name ${name} is taken on the host: it is ${device.name} now`
        : error.message,
    );
  }
}
