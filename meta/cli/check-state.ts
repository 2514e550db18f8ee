// `manifold check-state`: every invariant of the node's state, for people and for scripts (exit code 1 when broken).
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { type Namespaces, withoutInterface } from './check-kernel.ts';
import type { Report } from './main.ts';

/** @param namespaces the node's, where they can be looked at */
export function checkStateReport(store: NodeStore, runDir: string, namespaces?: Namespaces): Report {
  const { broken, leftovers } = checkState(store, runDir);
  // A record that is broken cannot be asked where its interface is.
  const missing = namespaces === undefined || broken.length > 0 ? [] : withoutInterface(store, namespaces);
  const left = [...leftovers, ...missing];
  const lines = [
    ...broken.map((text) => `broken: ${text}`),
    ...left.map((text) => `leftover: ${text}`),
    broken.length === 0
      ? `The state in ${store.directory} is sound.`
      : `The state in ${store.directory} is damaged: ${broken.length} of its invariants do not hold.`,
    ...(left.length === 0 ? [] : ['Leftovers are cleaned up by the next ADD or DEL of their pod, or by GC.']),
  ];
  return { lines, exitCode: broken.length === 0 ? 0 : 1 };
}
