// Reads what a virtual function is, and sets it up for a pod: through its physical function, and its interface.

import { assignMac } from './assign-mac.ts';
import type { SriovConfig } from './config.ts';
import type { LocatedVf } from './locate.ts';
import type { SriovDeps } from './retract.ts';
import type { SavedVf } from './saved-vf.ts';
import { wantedSettings } from './settings.ts';
import { applySettings, type VfDoor } from './vf-door.ts';

export function saveVf(
  { sysfs }: SriovDeps,
  config: SriovConfig,
  { pci, driver, pf }: LocatedVf,
  mac: string | undefined,
  door: VfDoor | undefined,
): SavedVf {
  const base = {
    pci: pci.address,
    driver,
    driverOverride: sysfs.driverOverride(pci.address),
    macFixed: false,
  };
  if (pf === undefined || door === undefined) return { ...base, vf: undefined };
  const was = door.read();
  return {
    ...base,
    vf: { pf: pf.address, index: pf.index, was, set: wantedSettings(config, mac, was) },
  };
}

interface Wanted {
  readonly door: VfDoor | undefined;
  readonly settings: NonNullable<SavedVf['vf']>['set'];
}

/**
 * On the host, before the move: the pod sees the virtual function only when it is set up.
 * @returns what only came out while it was done
 */
export function configure(
  { kernel }: SriovDeps,
  { mtu }: SriovConfig,
  { host: at, pci }: LocatedVf,
  mac: string | undefined,
  { door, settings }: Wanted,
): Pick<SavedVf, 'macFixed'> {
  const host = kernel.host();
  const vf = at === undefined ? undefined : { host, index: at.link.index };
  if (vf !== undefined && host.link({ index: vf.index })?.up) host.setLink(vf.index, { up: false });
  const macFixed = mac !== undefined && assignMac(mac, door, vf);
  if (door !== undefined) applySettings(door, settings, pci.address);
  if (vf !== undefined && mtu !== 0) host.setLink(vf.index, { mtu });
  return { macFixed };
}

/** With a user-space driver the administrative MAC is what the application will find, unless there is none. */
export function knownMac(door: VfDoor | undefined): { readonly mac?: string } {
  const mac = door?.read().mac;
  return mac === undefined || mac === '00:00:00:00:00:00' ? {} : { mac };
}
