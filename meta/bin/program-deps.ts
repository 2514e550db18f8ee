// What every shipped program stands on: the real kernel, sysfs, and the node's store opened once a process.
import type { AttachDeps, StoreLocation } from '../../pkg/attach/deps.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { createSysfs, type Sysfs } from '../../pkg/kernel/sysfs.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export interface ProgramDeps extends AttachDeps {
  readonly sysfs: Sysfs;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** @param log what opening a store has to say */
export function createProgramDeps(log: Logger, step: (name: string) => void = () => undefined): ProgramDeps {
  const stores = new Map<string, NodeStore>();
  return {
    kernel: createKernel(),
    sysfs: createSysfs(),
    openStore({ stateDir, runDir }: StoreLocation) {
      const opened = stores.get(stateDir) ?? openNodeStore(stateDir, { runDirectory: runDir, log });
      stores.set(stateDir, opened);
      return opened;
    },
    step,
    now: () => Date.now(),
  };
}
