// Reads what a virtual function is, and sets it up for a pod: through its physical function, and its interface.
import type { AddCall } from '../../pkg/cni/plugin.ts';
import type { Link } from '../../pkg/kernel/kernel.ts';
import { assignMac } from './assign-mac.ts';
import { bindAnew } from './bind-anew.ts';
import { requestedGuid, type SriovConfig } from './config.ts';
import { guidOfMac } from './guid.ts';
import type { LocatedVf } from './locate.ts';
import type { SriovDeps } from './retract.ts';
import type { SavedVf } from './saved-vf.ts';
import { wantedInfiniband, wantedSettings } from './settings.ts';
import { applySettings, type VfDoor } from './vf-door.ts';

/** How the configuration's wishes reach the virtual function. */
export interface Way {
  /** Undefined where no physical function is seen. */
  readonly door: VfDoor | undefined;
  readonly infiniband: boolean;
  readonly mac: string | undefined;
}

export function saveVf(
  { sysfs }: SriovDeps,
  config: SriovConfig,
  { pci, driver, pf, host }: LocatedVf,
  { door, infiniband, mac }: Way,
): SavedVf {
  const base = {
    pci: pci.address,
    driver,
    driverOverride: sysfs.driverOverride(pci.address),
    macFixed: false,
    rdmaName: pci.rdmaDevices[0],
  };
  if (pf === undefined || door === undefined) return { ...base, vf: undefined };
  const told = door.read();
  if (!infiniband) {
    const set = wantedSettings(config, mac, told);
    return { ...base, vf: { pf: pf.address, index: pf.index, was: told, set } };
  }
  const own = guidOfMac(host?.link.mac);
  const was = { ...told, nodeGuid: told.nodeGuid ?? own, portGuid: told.portGuid ?? own };
  const set = wantedInfiniband(config, requestedGuid(config));
  return { ...base, vf: { pf: pf.address, index: pf.index, was, set } };
}

interface Configured {
  /** What only came out while it was done. */
  readonly found: Pick<SavedVf, 'macFixed'>;
  /** Its interface on the host, which may be another now. */
  readonly link: Link | undefined;
}

/** On the host, before the move: the pod sees the virtual function only when it is set up. */
export function configure(
  deps: SriovDeps,
  { config, log }: AddCall<SriovConfig>,
  { host: at, pci }: LocatedVf,
  { door, mac }: Way,
  before: SavedVf,
): Configured {
  const host = deps.kernel.host();
  const vf = at === undefined ? undefined : { host, index: at.link.index };
  if (vf !== undefined && host.link({ index: vf.index })?.up) host.setLink(vf.index, { up: false });
  const macFixed = mac !== undefined && assignMac(mac, door, vf);
  if (door !== undefined) applySettings(door, before.vf?.set ?? [], pci.address);
  const guid = requestedGuid(config);
  const isOld =
    door !== undefined && guid !== undefined && at !== undefined && guidOfMac(at.link.mac) !== guid;
  const link = isOld ? bindAnew(deps, before, log) : at?.link;
  if (link !== undefined && config.mtu !== 0) host.setLink(link.index, { mtu: config.mtu });
  return { found: { macFixed }, link };
}

/** With a user-space driver the administrative MAC is what the application will find, unless there is none. */
export function knownMac({ door, infiniband }: Way): { readonly mac?: string } {
  const mac = infiniband ? undefined : door?.read().mac;
  return mac === undefined || mac === '00:00:00:00:00:00' ? {} : { mac };
}
