// `manifold check-state --remove-broken`: takes records out of the state that no command can read.
import type { NodeStore, RawRow } from '../../pkg/state/node-store.ts';
import { storeContents } from '../../pkg/state/store-contents.ts';
import type { Report } from './main.ts';

/** @param yes false: only says what it would do, with exit code 1 where there is something */
export function removeBroken(store: NodeStore, yes: boolean): Report {
  const { integrity, rows } = store.raw();
  const { broken } = storeContents(rows);
  if (integrity.length > 0)
    return {
      lines: [
        ...integrity.map((line) => `broken: The file is damaged: ${line}.`),
        `Nothing is removed: the file itself is damaged. Drain the node, then move ${store.directory} away.`,
      ],
      exitCode: 1,
    };
  if (broken.length === 0)
    return { lines: ['No record is broken: there is nothing to remove.'], exitCode: 0 };
  const removed = broken.map(({ row, problems }) => ({
    done: yes && store.removeRaw(row),
    lines: [
      ...problems.map((text) => `broken: ${text}`),
      `  record: ${row.record}`,
      `  without it: ${CONSEQUENCES[row.table]}`,
    ],
  }));
  const shown = removed.flatMap(({ lines }) => lines);
  if (!yes)
    return {
      lines: [...shown, `Nothing is removed yet: say --yes to remove ${recordsOf(broken.length)}.`],
      exitCode: 1,
    };
  const count = removed.filter(({ done }) => done).length;
  const changed = broken.length - count;
  return {
    lines: [
      ...shown,
      `Removed ${recordsOf(count)}.`,
      ...(changed === 0 ? [] : [`Meanwhile another process has changed ${recordsOf(changed)}: look again.`]),
    ],
    exitCode: changed === 0 ? 0 : 1,
  };
}

const recordsOf = (count: number): string => (count === 1 ? '1 record' : `${count} records`);

const CONSEQUENCES: Readonly<Record<RawRow['table'], string>> = {
  attachments: 'a DEL of its sandbox does not detach this network.',
  interfaces: 'a device that was moved is not put back to what it was.',
  leases: 'its address may be given to another pod, also while one still uses it.',
  cluster_leases: 'its object in the cluster stays until the agent or "manifold leases release" ends it.',
  copies: 'nothing is lost: it is read from the cluster again.',
};
