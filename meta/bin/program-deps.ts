// What every shipped program stands on: the real kernel, sysfs, and store and API client made once a process.
import type { AttachDeps, StoreLocation } from '../../pkg/attach/deps.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { openRdma } from '../../pkg/kernel/linux-rdma.ts';
import type { OpenRdma } from '../../pkg/kernel/rdma.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import type { Logger } from '../../pkg/log/logger.ts';
import { createSysfs, type Sysfs } from '../../pkg/pci/sysfs.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export interface ProgramDeps extends AttachDeps {
  readonly sysfs: Sysfs;
  readonly rdma: OpenRdma;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * The API server that a kubeconfig names: one client a file, which is read at the first call.
   */
  readonly kube: (kubeconfig: string) => KubeClient;
}

/** @param log what opening a store has to say */
export function createProgramDeps(log: Logger, step: (name: string) => void = () => undefined): ProgramDeps {
  const stores = new Map<string, NodeStore>();
  const clients = new Map<string, KubeClient>();
  return {
    kernel: createKernel(),
    sysfs: createSysfs(),
    rdma: openRdma,
    openStore({ stateDir, runDir }: StoreLocation) {
      const opened = stores.get(stateDir) ?? openNodeStore(stateDir, { runDirectory: runDir, log });
      stores.set(stateDir, opened);
      return opened;
    },
    step,
    now: () => Date.now(),
    kube(kubeconfig) {
      const made = clients.get(kubeconfig) ?? openKubeClient(kubeconfig, { log });
      clients.set(kubeconfig, made);
      return made;
    },
  };
}
