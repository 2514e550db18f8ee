// What the meta plugin is given by its wiring.
import type { AttachDeps } from '../pkg/attach/deps.ts';
import type { KubeClient } from '../pkg/kube/kube-client.ts';
import type { Files } from './files.ts';

export interface MetaDeps extends AttachDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The client of a kubeconfig, made once a process. */
  readonly kube: (kubeconfig: string) => KubeClient;
  /** Types that run in this process when they are delegates, whatever CNI_PATH has under their names (own-types.ts). */
  readonly ownTypes: ReadonlySet<string>;
  /** Path of the file that this process runs: a delegate that is the same file is refused. */
  readonly ownFile: string;
  readonly files: Files;
}
