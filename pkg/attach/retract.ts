// How a plugin takes back what it did to one interface: the one function behind DEL, GC and the clearing of leftovers.

import { isManifoldError } from '../errors/manifold-error.ts';
import type { Namespace } from '../kernel/kernel.ts';
import type { Logger } from '../log/logger.ts';
import type { InterfaceRecord } from '../state/node-store.ts';

export interface RetractTarget {
  readonly ifname: string;
  /** What ADD wrote down; undefined when there is no record (never added, or the store is lost). */
  readonly record: InterfaceRecord | undefined;
  /** True when the store cannot be read: there may have been a record. */
  readonly storeLost: boolean;
  /** The pod's namespace; undefined when it is gone, or when its path now leads to another namespace. */
  readonly pod: Namespace | undefined;
  readonly log: Logger;
}

/**
 * Missing is no error.
 * @returns what could not be put back, in words: the record is then kept, and DEL fails with these words
 * @throws ManifoldError when the interface may still be in the pod: its addresses must not be released
 */
export type Retract = (target: RetractTarget) => string[];

/** For where a failure must not hide another: what the kernel refuses comes back as text too. */
export function retractSafely(retract: Retract, target: RetractTarget): string[] {
  try {
    return retract(target);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return [error.message];
  }
}
