// What the meta plugin is given by its wiring.
import type { AttachDeps } from '../pkg/attach/deps.ts';
import type { Files } from './files.ts';

export interface MetaDeps extends AttachDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Types that run in this process when they are delegates. */
  readonly ownTypes: ReadonlySet<string>;
  /** Path of the file that this process runs: a delegate that is the same file is refused. */
  readonly ownFile: string;
  readonly files: Files;
}
