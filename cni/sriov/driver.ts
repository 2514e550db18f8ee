// The driver of a virtual function, given back when something else was bound to it meanwhile.
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';
import type { SavedVf } from './saved-vf.ts';

/** @returns why it could not be bound, in words */
export function restoreDriver(sysfs: Sysfs, { pci, driver, driverOverride }: SavedVf): string[] {
  if (sysfs.pci(pci)?.driver === driver) return [];
  try {
    sysfs.bind(pci, driver, driverOverride);
    return [];
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return [error.message];
  }
}
