// Brings a device back to the host and makes it what it was, wherever it is now: in the pod under any name, or on the
// host under the name that it had in the pod (so the kernel returns it when a namespace dies).
import type { Retract, RetractTarget } from '../../pkg/attach/retract.ts';
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Kernel, Link, Namespace } from '../../pkg/kernel/kernel.ts';
import { isErrno } from '../../pkg/kernel/kernel-error.ts';
import type { HostDeviceConfig } from './config.ts';
import { isDevice, planRestore, readSaved, routeOf, type SavedDevice } from './saved-device.ts';

/**
 * @param kernel gives the host's namespace
 * @param config DEL's own: with the store lost, the device goes home under the name that stands there
 */
export function createRetractDevice(kernel: Kernel, config?: HostDeviceConfig): Retract {
  return (target) => {
    const { record, storeLost } = target;
    const saved = record === undefined ? undefined : readSaved(record.saved);
    if (saved !== undefined) return retractDevice(kernel.host(), target, saved);
    // Without a note of what the device was there is nothing to put back: never moved, or a user-space driver.
    return storeLost && config !== undefined ? sendHome(kernel.host(), target, config) : [];
  };
}

/** Nobody knows what the device was: it goes back under the host's name, or stays where the kernel returns it. */
function sendHome(host: Namespace, { pod, ifname, log }: RetractTarget, config: HostDeviceConfig): string[] {
  const link = pod?.link({ name: ifname });
  const name = config.device;
  if (pod === undefined || link === undefined || name === undefined || link.kind === 'macvlan') return [];
  if (host.link({ name }) !== undefined) return [];
  pod.moveLink(link.index, host, { name });
  log.warn('device sent home without a note of what it was: MTU, MAC and flags are the pod\u2019s', {
    device: name,
  });
  return [];
}

function retractDevice(
  host: Namespace,
  { pod, ifname, log }: Pick<RetractTarget, 'pod' | 'ifname' | 'log'>,
  saved: SavedDevice,
): string[] {
  const problems: string[] = [];
  // An ADD that died early has not moved it yet.
  const stayed = saved.index === undefined && findDevice(host, saved, undefined) !== undefined;
  const inPod = pod === undefined || stayed ? undefined : findDevice(pod, saved, ifname);
  const home = pod === undefined || inPod === undefined ? undefined : moveHome(host, pod, inPod, saved);
  const device = home === undefined ? findDevice(host, saved, undefined) : host.link({ index: home });
  if (device === undefined) {
    log.warn('device is nowhere to be found: unplugged, or moved on by the pod', { device: saved.host.name });
    return problems;
  }
  renameHome(host, device, saved, problems);
  restore(host, device.index, saved, problems, log);
  return problems;
}

function findDevice(place: Namespace, saved: SavedDevice, podName: string | undefined): Link | undefined {
  const { index } = saved;
  const known = podName === undefined || index === undefined ? undefined : place.link({ index });
  if (known !== undefined && isDevice(saved, known, podName)) return known;
  return place.links().find((link) => isDevice(saved, link, podName));
}

function moveHome(host: Namespace, pod: Namespace, link: Link, saved: SavedDevice): number {
  const { name } = saved.host;
  // A name of the pod's own, or one that the host has by now, would forbid the move. Lost ones are restored later.
  const inTheWay = link.altnames.filter(
    (altname) => !saved.host.altnames.includes(altname) || host.link({ name: altname }) !== undefined,
  );
  if (inTheWay.length > 0) pod.setLink(link.index, { removeAltnames: inTheWay });
  // Where its name is taken meanwhile it comes back under another: renameHome reports that.
  return pod.moveLink(link.index, host, { name: host.link({ name }) === undefined ? name : freeName(host) });
}

/** A name that no link has: where the device's own is taken meanwhile. */
function freeName(host: Namespace): string {
  for (let n = 0; ; n++) {
    const name = `mfold${n}`;
    if (host.link({ name }) === undefined) return name;
  }
}

function renameHome(host: Namespace, device: Link, saved: SavedDevice, problems: string[]): void {
  const { name } = saved.host;
  if (device.name === name) return;
  try {
    if (device.altnames.includes(name)) host.setLink(device.index, { removeAltnames: [name] });
    if (device.up) host.setLink(device.index, { up: false });
    host.setLink(device.index, { name });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    problems.push(
      isErrno(error, 'EEXIST')
        ? `its name ${name} is taken on the host: it is ${device.name} now`
        : error.message,
    );
  }
}

function restore(
  host: Namespace,
  index: number,
  saved: SavedDevice,
  problems: string[],
  log: RetractTarget['log'],
): void {
  const keep = (text: string): void => void problems.push(text);
  const attempt = (work: () => void, report: (text: string) => void = keep) => {
    try {
      work();
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      report(error.message);
    }
  };
  // The host itself may have changed meanwhile: a name given to another NIC, a bridge removed, a gateway gone. The
  // device is home, and no later DEL could do better.
  const ifHostLets = (work: () => void) =>
    attempt(work, (reason) =>
      log.warn('not restored: the host has changed', { device: saved.host.name, reason }),
    );
  const now = host.link({ index });
  if (now === undefined) return;
  const changes = planRestore(saved, now);
  // Most drivers change a MAC only while the device is down.
  if (now.up && changes.some((change) => change.mac !== undefined))
    attempt(() => host.setLink(index, { up: false }));
  for (const change of changes)
    (change.addAltnames === undefined ? attempt : ifHostLets)(() => host.setLink(index, change));
  attempt(() => host.setLink(index, { up: saved.host.up }));
  for (const cidr of saved.addresses) ifHostLets(() => host.addAddress(index, { cidr }));
  const { master } = saved;
  if (master !== undefined) ifHostLets(() => enslave(host, index, master));
  // Routes of the link first (scope 253): the gateways of the others are found through them.
  const routes = [...saved.routes].sort((a, b) => b.scope - a.scope);
  for (const route of routes) ifHostLets(() => host.addRoute(routeOf(route, index)));
}

function enslave(host: Namespace, index: number, master: string): void {
  const link = host.link({ name: master });
  if (link === undefined)
    throw new ManifoldError(
      'not-found',
      `Cannot make it a port of ${master} again: the host has no such interface`,
    );
  host.setLink(index, { masterIndex: link.index });
}
