// One virtual function as its physical one sees it: read, and set, with refusals that say what the driver cannot do.
import { isManifoldError, ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { isErrno } from '../../pkg/kernel/kernel-error.ts';
import type { PhysicalFunction } from './physical-function.ts';
import { differences, isSet, type VfChange, type VfState } from './settings.ts';

export interface VfDoor {
  /** @throws ManifoldError 'not-found' when the physical function has no such number (any more) */
  read(): VfState;
  /** @throws ManifoldError 'unsupported-field' for what the driver does not know; 'kernel' for what it refuses */
  set(change: VfChange): void;
}

export function vfDoor(pf: PhysicalFunction, index: number): VfDoor {
  return {
    read() {
      const link = pf.link();
      const { index: _index, ...state } = link?.vfs.find((one) => one.index === index) ?? {};
      if ('mac' in state) return state;
      const has = link === undefined ? 'it is gone' : `it has ${link.vfs.length} virtual functions now`;
      throw new ManifoldError(
        'not-found',
        `Cannot find virtual function ${index} of ${pf.name} (${pf.address}): ${has}`,
        { hint: `See sriov_numvfs of PCI device ${pf.address}, and whether its driver was loaded again.` },
      );
    },
    set(change) {
      try {
        pf.namespace.setLink(pf.index, { vf: { index, ...change } });
      } catch (error) {
        if (!isErrno(error, 'EOPNOTSUPP', 'ENOTSUPP', 'EPROTONOSUPPORT')) throw error;
        throw new ManifoldError('unsupported-field', error.message, {
          hint: `The driver of ${pf.name} does not offer it: leave it out of the network.`,
          cause: error,
        });
      }
    },
  };
}

/**
 * Sets what is not so already, and looks whether the driver did as it said.
 * @throws ManifoldError as VfDoor.set; 'kernel' when a setting reads otherwise than it was set
 */
export function applySettings(door: VfDoor, changes: readonly VfChange[], name: string): void {
  const before = door.read();
  for (const change of changes) if (!isSet(change, before)) door.set(change);
  const after = door.read();
  const wrong = changes.flatMap((change) => differences(change, after));
  if (wrong.length > 0)
    throw new ManifoldError(
      'kernel',
      `Cannot set up virtual function ${name}: ${wrong.join('; ')}, although its driver said so`,
    );
}

/** @returns what was refused, in words; the rest is set */
export function restoreSettings(door: VfDoor, changes: readonly VfChange[]): string[] {
  return changes.flatMap((change) => {
    try {
      door.set(change);
      return [];
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      return [error.message];
    }
  });
}
