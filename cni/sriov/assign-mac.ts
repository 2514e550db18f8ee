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
 * @returns whether an administrative MAC stood that the interface could not change; of one that has this MAC already
 *   that cannot be found out (the kernel does not ask the driver), and it is taken to be so
 * @throws ManifoldError when the interface does not take it
 */
export function assignMac(mac: string, door: VfDoor | undefined, vf: VfInterface | undefined): boolean {
  if (vf !== undefined && door === undefined) vf.host.setLink(vf.index, { mac });
  if (door === undefined) return false;
  const fixed = vf !== undefined && (macOf(vf) === mac || setOnInterface(mac, door, vf));
  door.set({ mac });
  if (vf !== undefined) waitForMac(mac, vf);
  return fixed;
}

export interface MacBefore {
  /** Of the interface. */
  readonly own: string | undefined;
  /** What the physical function showed. */
  readonly administrative: string;
  /** The interface could not change it. */
  readonly fixed: boolean;
  /** ADD has set one since. */
  readonly replaced: boolean;
}

/**
 * Gives both what each had: they differ where the interface chose its own MAC and no administrator one.
 * @throws ManifoldError when one of them does not take it
 */
export function restoreMac(was: MacBefore, door: VfDoor, vf: VfInterface | undefined): void {
  const { own, administrative } = was;
  let { fixed } = was;
  if (vf !== undefined && own !== undefined) {
    if (was.replaced && !fixed) lift(door);
    // What an interface sets for itself its physical function shows too (igb): what is lifted here must be set again.
    if (macOf(vf) !== own && setOnInterface(own, door, vf)) fixed = true;
  }
  if (door.read().mac !== administrative || (fixed && administrative !== NO_MAC))
    door.set({ mac: administrative });
  if (vf !== undefined && own !== undefined) waitForMac(own, vf);
}

/**
 * While an administrative MAC stands, many drivers refuse another one (EADDRNOTAVAIL, EPERM): it is lifted then.
 * @returns whether it was
 */
function setOnInterface(mac: string, door: VfDoor, vf: VfInterface): boolean {
  if (tryToSet(mac, vf) === undefined) return false;
  lift(door);
  tryToSet(mac, vf);
  return true;
}

/** A driver that takes no such MAC may let the interface take the new one from the physical function. */
function lift(door: VfDoor): void {
  try {
    door.set({ mac: NO_MAC });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
  }
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
