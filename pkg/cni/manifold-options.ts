// The `manifold` object of a network configuration: what is ours alone and common to all our plugins.
import { object, optional } from 'valibot';
import { absolutePath, nodeName, oneOf } from './fields.ts';

export const DEFAULT_STATE_DIR = '/var/lib/cni/manifold';
export const DEFAULT_RUN_DIR = '/run/manifold';

/** Entries for a schema that has keys of its own beside the common ones: object({ ...manifoldEntries, mine }). */
export const manifoldEntries = {
  /** Directory of the node's store: outlives a reboot. */
  stateDir: optional(absolutePath(), DEFAULT_STATE_DIR),
  /** Directory of what need not outlive a reboot. */
  runDir: optional(absolutePath(), DEFAULT_RUN_DIR),
  logLevel: optional(oneOf(['debug', 'info', 'warn', 'error']), 'info'),
  /** File to which log lines are appended, beside standard error. */
  logFile: optional(absolutePath()),
  /** Where and as whom the API server is asked. Without it addresses are unique on this node only. */
  kubeconfig: optional(absolutePath()),
  /** The name of this node's Node object. @default the host name */
  nodeName: optional(nodeName()),
  /** open: Whereabouts may run beside us in this cluster, and must see what we claim. @default closed */
  whereabouts: optional(oneOf(['open', 'closed'])),
};

/** The value of the key `manifold`; all defaults when it is absent. */
export const manifoldOptions = optional(object(manifoldEntries, 'must be an object'), {});
