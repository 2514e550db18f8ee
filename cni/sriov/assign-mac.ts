// A MAC for a virtual function, which two parties keep: its interface, and its physical function (the administrative
// MAC, that the pod cannot change). Drivers differ in whom they ask first (docs/notes/sriov.md).
import { isManifoldError, type ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { monotonicMs, sleep } from '../../pkg/kernel/clock.ts';
import type { Namespace } from '../../pkg/kernel/kernel.ts';
import type { VfDoor } from './vf-door.ts';

const NO_MAC = '00:00:00:00:00:00';
/** A driver that resets the virtual function for a new administrative MAC (iavf) is back within a second or two. */
const SETTLE_MS = 2000;
const LOOK_EVERY_MS = 50;

export interface VfInterface {
  readonly host: Namespace;
  readonly index: number;
}

/**
 * Gives interface and physical function one MAC. The interface must be down.
 * @param door undefined where no physical function is seen @param vf undefined with a user-space driver
 * @throws ManifoldError when the interface does not take it
 */
export function assignMac(mac: string, door: VfDoor | undefined, vf: VfInterface | undefined): void {
  if (vf !== undefined && door === undefined) vf.host.setLink(vf.index, { mac });
  if (door === undefined) return;
  if (vf !== undefined) setOnInterface(mac, door, vf);
  door.set({ mac });
  if (vf !== undefined) waitForMac(mac, vf);
}

/**
 * Gives both what each had: they differ where the interface chose its own MAC and no administrator one.
 * @param fromPf true when the interface had its MAC from the physical function: it is set there again, so that a pod
 *   cannot change it
 * @throws ManifoldError when one of them does not take it
 */
export function restoreMac(
  was: { readonly own: string | undefined; readonly administrative: string; readonly fromPf: boolean },
  door: VfDoor,
  vf: VfInterface | undefined,
): void {
  const { own, administrative, fromPf } = was;
  const changed = vf !== undefined && own !== undefined && macOf(vf) !== own;
  if (changed) setOnInterface(own, door, vf);
  // What an interface sets for itself its physical function shows too (igb): then nothing is left to be done.
  const shown = door.read().mac;
  if (shown !== administrative || (changed && fromPf && administrative !== NO_MAC))
    door.set({ mac: administrative });
  if (changed) waitForMac(own, vf);
}

/** While an administrative MAC stands, many drivers refuse another one (EADDRNOTAVAIL, EPERM): it is lifted then. */
function setOnInterface(mac: string, door: VfDoor, vf: VfInterface): void {
  if (macOf(vf) === mac || tryToSet(mac, vf) === undefined) return;
  try {
    door.set({ mac: NO_MAC });
  } catch (error) {
    // A driver that takes no such MAC may take the new one from the physical function.
    if (!isManifoldError(error)) throw error;
    return;
  }
  tryToSet(mac, vf);
}

function waitForMac(mac: string, vf: VfInterface): void {
  const end = monotonicMs() + SETTLE_MS;
  while (macOf(vf) !== mac) {
    const refusal = tryToSet(mac, vf);
    if (refusal === undefined) return;
    if (monotonicMs() >= end) throw refusal;
    sleep(LOOK_EVERY_MS);
  }
}

/** @returns the refusal */
function tryToSet(mac: string, { host, index }: VfInterface): ManifoldError | undefined {
  try {
    host.setLink(index, { mac });
    return undefined;
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return error;
  }
}

const macOf = ({ host, index }: VfInterface): string | undefined => host.link({ index })?.mac;
