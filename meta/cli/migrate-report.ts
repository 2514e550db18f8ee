// What a migration plan says to people. Pure.
import type { Problem, ProblemKind } from '../../ipam/whereabouts/migration/entries.ts';
import type { MigrationPlan } from '../../ipam/whereabouts/migration/plan.ts';

/** What each kind means, and what is done about it. */
const MEANINGS: Readonly<Record<ProblemKind, string>> = {
  double: 'an address has two holders: delete one of the pods, then run this again',
  contradiction: 'reservation and pool name two pods: the one that lives counts',
  unreadable: 'not understood, and so not migrated: look at each, and remove what is of no use',
  'cannot be mixed': 'Whereabouts and Manifold cannot share these ranges',
  'not on its pod': 'its pod lives without it: kept from everybody for a while',
  'no pool entry': 'a reservation that no pool knows: migrated like the others',
  'no reservation': 'an allocation without a reservation: migrated like the others',
};

const SHOWN = 10;

/** @param all every problem, instead of the first of each kind */
export function planLines({ actions, counts, problems }: MigrationPlan, all: boolean): string[] {
  const of = (verb: string) => actions.filter((action) => action.do === verb).length;
  return [
    `Whereabouts has given ${counts.allocations} addresses: ${counts.live} to pods that live, ${counts.orphaned} to none that is known.`,
    `Leases: ${counts.present} are right already, ${of('create')} to be made, ${of('replace')} to be changed, ${of('rest')} to be ended.`,
    `Reservations that stand for claims of Manifold: ${counts.ours}.`,
    ...problemLines(problems, all),
  ];
}

function problemLines(problems: readonly Problem[], all: boolean): string[] {
  if (problems.length === 0) return ['Nothing is wrong with them.'];
  return [...Map.groupBy(problems, ({ kind }) => kind)].flatMap(([kind, some]) => {
    const shown = all ? some : some.slice(0, SHOWN);
    const more = some.length - shown.length;
    return [
      `${kind} (${some.length}): ${MEANINGS[kind]}`,
      ...shown.map(({ text }) => `  ${text}`),
      ...(more > 0 ? [`  and ${more} more: --verbose shows all`] : []),
    ];
  });
}

export const isDouble = ({ problems }: MigrationPlan): boolean =>
  problems.some(({ kind }) => kind === 'double');

export const finishLines = ({ counts }: MigrationPlan): string[] => [
  'Every address that Whereabouts has given has its lease.',
  ...(counts.live > 0
    ? [
        `${counts.live} of them are still of pods that Whereabouts has attached: their DEL frees both while the migration is open.`,
      ]
    : []),
  'What remains, when no node runs Whereabouts any more:',
  '  1. Set "manifold": {"whereabouts": "closed"} in the CNI configuration of each node (or in its whereabouts.conf).',
  '  2. manifold migrate whereabouts --finish --apply  (removes the reservations that stand for claims of Manifold)',
  '  3. Remove the DaemonSet and the controllers of Whereabouts, then its definitions:',
  '     kubectl delete crd ippools.whereabouts.cni.cncf.io overlappingrangeipreservations.whereabouts.cni.cncf.io nodeslicepools.whereabouts.cni.cncf.io',
  '  4. kubectl delete rolebinding manifold-migration -n kube-system',
];
