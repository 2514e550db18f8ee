// `manifold check-state`: every invariant of the node's state, for people and for scripts (exit code 1 when broken).
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import type { Report } from './main.ts';

export function checkStateReport(store: NodeStore): Report {
  const { broken, leftovers } = checkState(store);
  const lines = [
    ...broken.map((text) => `broken: ${text}`),
    ...leftovers.map((text) => `leftover: ${text}`),
    broken.length === 0
      ? `The state in ${store.directory} is sound.`
      : `The state in ${store.directory} is damaged: ${broken.length} of its invariants do not hold.`,
    ...(leftovers.length === 0
      ? []
      : ['Leftovers of a container go with its DEL, or with a GC of their network; a file may be deleted.']),
  ];
  return { text: lines.join('\n'), exitCode: broken.length === 0 ? 0 : 1 };
}
