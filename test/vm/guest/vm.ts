// What a case of the virtual machine has at hand.
import type { Kernel } from '../../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../../pkg/pci/sysfs.ts';
import type { VmSettings } from '../protocol.ts';
import type { Port } from './port.ts';
import type { Wire } from './wire.ts';

export interface Vm {
  /** One for all cases. */
  readonly kernel: Kernel;
  readonly sysfs: Sysfs;
  /** Two igb ports on one wire, up, with 7 virtual functions each. */
  readonly ports: readonly [Port, Port];
  /** All frames that pass between the ports. */
  readonly wire: Wire;
  readonly settings: VmSettings;
  /** Shown on the host when the case fails. */
  log(text: string): void;
  /** Shown on the host in any case. */
  tell(text: string): void;
  /** Standard output of a program. @throws Error with what it wrote to stderr */
  run(file: string, ...args: readonly string[]): string;
  /** Waits, looking every few milliseconds. @throws Error naming `what` when the time is over */
  until<T>(what: string, look: () => T | undefined | false, limitMs?: number): Promise<T>;
  /** Undone when the case is over, in reverse order. */
  defer(undo: () => void): void;
}
