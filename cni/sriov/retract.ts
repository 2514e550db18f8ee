// Brings a virtual function back and makes it what it was, in two places: its interface, and its physical function.
// What cannot be put back is said, and the record stays: nothing is forgotten.
import type { AttachDeps } from '../../pkg/attach/deps.ts';
import type { RdmaDeps } from '../../pkg/attach/rdma-device.ts';
import { restoreDevice } from '../../pkg/attach/restore-device.ts';
import type { Retract, RetractTarget } from '../../pkg/attach/retract.ts';
import { bringHome } from '../../pkg/attach/retract-device.ts';
import { readSaved, type SavedDevice } from '../../pkg/attach/saved-device.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link } from '../../pkg/kernel/kernel.ts';
import { mainNetdev } from '../../pkg/pci/netdev.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import { restoreMac, type VfInterface } from './assign-mac.ts';
import { bindAnew } from './bind-anew.ts';
import { restoreDriver } from './driver.ts';
import { guidOfMac } from './guid.ts';
import { openPhysicalFunction } from './physical-function.ts';
import { readSavedVf, type SavedSettings, type SavedVf } from './saved-vf.ts';
import { settingsBack } from './settings.ts';
import { restoreSettings, vfDoor } from './vf-door.ts';

export interface SriovDeps extends AttachDeps, RdmaDeps {
  readonly sysfs: Sysfs;
}

export function createRetractVf(deps: SriovDeps): Retract {
  return (target) => {
    const { record } = target;
    const saved = record === undefined ? undefined : readSavedVf(record.saved);
    // Without a note of what it was there is nothing to put back.
    if (record === undefined || saved === undefined) return [];
    const gone = whyGone(deps.sysfs, saved);
    if (gone !== undefined) return [gone];
    const device = readSaved(record.saved);
    // With a user-space driver nothing was moved.
    if (device === undefined) return restoreVf(deps, saved, undefined, undefined);
    // What is not home may still be in somebody's hands, who must not see the wire without its VLAN.
    const notBound = restoreDriver(deps.sysfs, saved);
    if (notBound.length > 0) return notBound;
    const problems: string[] = [];
    const link = bringVfHome(deps, target, saved, device, problems);
    // Only an interface that is no hardware can vanish while its driver is bound.
    if (link === undefined && device.host.kind !== undefined) return [];
    if (link === undefined) return [`the interface of ${saved.pci} is in no namespace that can be seen`];
    problems.push(...restoreVf(deps, saved, device, link));
    const home = withOwnGuid(deps, target, saved, device, link, problems);
    const { mac: _mac, ...host } = device.host;
    return [...problems, ...restoreDevice(deps.kernel.host(), home.index, { ...device, host }, target.log)];
  };
}

/** Why there is nothing that could be put back: the virtual function is not there. */
function whyGone(sysfs: Sysfs, { pci, vf }: SavedVf): string | undefined {
  if (sysfs.pci(pci) !== undefined) return undefined;
  if (vf === undefined) return `PCI device ${pci} is gone`;
  const pf = sysfs.pci(vf.pf);
  const which = `virtual function ${vf.index} (${pci}) is gone`;
  if (pf === undefined) return `${which}, and its physical function ${vf.pf} with it`;
  return `${which}: its physical function ${vf.pf} has ${pf.sriov?.numVfs ?? 0} virtual functions now`;
}

function bringVfHome(
  { kernel, sysfs }: SriovDeps,
  target: RetractTarget,
  saved: SavedVf,
  device: SavedDevice,
  problems: string[],
): Link | undefined {
  const nameTaken: string[] = [];
  const readAtHome = () => {
    const netdev = mainNetdev(sysfs.pci(saved.pci)?.netdevs ?? []);
    return netdev && kernel.host().link({ name: netdev.name });
  };
  const link = bringHome(kernel, target, device, (text) => nameTaken.push(text), readAtHome);
  if (link === undefined) return undefined;
  // A driver that was loaded again has made another interface, whose name the kernel chose among those that were free.
  if (nameTaken.length > 0 && isMadeAnew(link, target.ifname, device))
    target.log.warn('virtual function was made anew and keeps its new name', {
      device: link.name,
      was: device.host.name,
    });
  else problems.push(...nameTaken);
  return link;
}

/** Neither its index, nor its MAC, nor its name are what ADD, or the pod's end, left. */
function isMadeAnew(link: Link, ifname: string, { host, index }: SavedDevice): boolean {
  return link.index !== index && link.index !== host.index && link.mac !== host.mac && link.name !== ifname;
}

/** An InfiniBand one has the pod's GUID until its driver is bound again. @returns its interface */
function withOwnGuid(
  deps: SriovDeps,
  target: RetractTarget,
  saved: SavedVf,
  device: SavedDevice,
  link: Link,
  problems: string[],
): Link {
  const isSet = saved.vf?.set.some((change) => 'portGuid' in change) ?? false;
  if (!isSet || guidOfMac(link.mac) === guidOfMac(device.host.mac)) return link;
  problems.push(
    ...attempt(() => {
      bindAnew(deps, saved, target.log);
      return [];
    }),
  );
  return bringVfHome(deps, target, saved, device, problems) ?? link;
}

/** What the physical function keeps, and the MAC. */
function restoreVf(
  deps: SriovDeps,
  saved: SavedVf,
  device: SavedDevice | undefined,
  link: Link | undefined,
): string[] {
  const { vf } = saved;
  const own = device?.host.mac;
  const host = deps.kernel.host();
  const at = link === undefined ? undefined : { host, index: link.index };
  if (vf === undefined) {
    if (at === undefined || own === undefined || link?.mac === own || link?.infiniband) return [];
    return attempt(() => {
      host.setLink(at.index, { up: false });
      host.setLink(at.index, { mac: own });
      return [];
    });
  }
  using pf = openPhysicalFunction(deps.kernel, deps.sysfs, vf.pf);
  if (pf === undefined)
    return [`its physical function ${vf.pf} has no interface in any namespace that can be seen`];
  return attempt(() =>
    restoreThroughPf(vfDoor(pf, vf.index), saved, vf, own, at, pf.link()?.infiniband ?? false),
  );
}

function restoreThroughPf(
  door: ReturnType<typeof vfDoor>,
  saved: SavedVf,
  vf: SavedSettings,
  own: string | undefined,
  at: VfInterface | undefined,
  infiniband: boolean,
): string[] {
  const replaced = vf.set.some((change) => 'mac' in change);
  const mac = { own, administrative: vf.was.mac, fixed: saved.macFixed, replaced };
  const problems = attempt(() => {
    if (infiniband) return [];
    const now = at?.host.link({ index: at.index });
    if (at !== undefined && now?.up && (replaced || now.mac !== own))
      at.host.setLink(at.index, { up: false });
    restoreMac(mac, door, at);
    return [];
  });
  return [...problems, ...restoreSettings(door, settingsBack(vf.was, door.read()))];
}

/** @returns the refusal, in words, or what `work` returns */
function attempt(work: () => string[]): string[] {
  try {
    return work();
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return [error.message];
  }
}
