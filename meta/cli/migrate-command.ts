// The words of `manifold migrate whereabouts`, and its three errands: over, finish, and back.
import type { Argv } from 'yargs';
import { readDuration } from '../../ipam/duration.ts';
import { THEIR_NAMESPACE } from '../../ipam/whereabouts/objects.ts';
import { CLAIM_LABEL } from '../../ipam/whereabouts/our-reservation.ts';
import { letGo } from '../../ipam/whereabouts/reservation-client.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { atOnce } from '../agent/at-once.ts';
import { withCluster } from './cluster.ts';
import { withClusterLock } from './cluster-lock.ts';
import { clusterOf, clusterOptions, type LeasesDeps } from './leases-command.ts';
import type { Report } from './main.ts';
import { applyActions } from './migrate-apply.ts';
import { giveBack, handOver, planBack } from './migrate-back.ts';
import { type Migration, readMigration } from './migrate-read.ts';
import { finishLines, isDouble, planLines } from './migrate-report.ts';
import { UsageError } from './usage-error.ts';

const LOCK = { namespace: 'kube-system', name: 'manifold-migrate' };
/** What changes while it is written is looked at again. */
const ROUNDS = 3;
const AT_ONCE = 4;

interface Errand {
  readonly client: KubeClient;
  /** Of Whereabouts' objects, for those that are made. */
  readonly namespace: string;
  readonly restSeconds: number;
  readonly apply: boolean;
  readonly all: boolean;
  readonly say: (...lines: string[]) => void;
}

export function migrateCommands(migrate: Argv, deps: LeasesDeps) {
  return migrate
    .usage('$0 migrate whereabouts\n\nTurns what another address manager has given into leases.')
    .command(
      'whereabouts',
      'turn what Whereabouts has given into leases',
      (command) => options(command),
      async (args) => {
        const restSeconds = readDuration(args.keep);
        if (restSeconds === undefined)
          throw new UsageError(`--keep needs a time such as 24h (${args.keep}).`);
        if (args.finish && args.back) throw new UsageError('--finish and --back exclude each other.');
        const aside = args.verbose ? deps.aside : () => undefined;
        const say = (...lines: string[]) => deps.print({ lines, exitCode: 0 });
        const report = await withCluster(clusterOf(args, deps.env), aside, async (client, { access }) => {
          const errand: Errand = {
            ...{ client, restSeconds, say, apply: args.apply === true, all: args.verbose === true },
            namespace: access.namespace ?? THEIR_NAMESPACE,
          };
          const work = args.back ? back : args.finish ? finish : over;
          if (!errand.apply) return work(errand, new AbortController().signal);
          return withClusterLock(client, { ...LOCK, aside: (line) => say(line) }, (signal) =>
            work(errand, signal),
          );
        });
        deps.print(report);
      },
    )
    .demandCommand(1, 1, 'Say from where: whereabouts.', 'One source at a time.');
}

const options = <T>(command: Argv<T>) =>
  clusterOptions(command)
    .usage(
      '$0 migrate whereabouts\n\nReads the pools, reservations and node slices of Whereabouts and makes a lease of each address that\nit has given: held by its pod where that lives, resting where no pod is known. It changes nothing of\nWhereabouts, may be repeated and stopped at any time, and only says what it would do without --apply.',
    )
    .option('apply', { type: 'boolean', describe: 'do it' })
    .option('keep', {
      type: 'string',
      default: '24h',
      requiresArg: true,
      describe: 'how long an address of no known pod is kept from everybody',
    })
    .option('finish', {
      type: 'boolean',
      describe:
        'check that nothing is left to migrate, and say what remains to be done; with --apply, remove the reservations that stand for claims of Manifold',
    })
    .option('back', {
      type: 'boolean',
      describe: 'the way back: with --apply, write what Manifold has given into the pools of Whereabouts',
    })
    .example('$0 migrate whereabouts', 'what would be done')
    .example('$0 migrate whereabouts --apply', 'make the leases; again after each group of nodes')
    .example('$0 migrate whereabouts --finish', 'whether all is done, and what remains')
    .example('$0 migrate whereabouts --back --apply', 'give everything back to Whereabouts');

const done = (exitCode = 0, ...lines: string[]): Report => ({ lines, exitCode });

async function over(errand: Errand, signal: AbortSignal): Promise<Report> {
  const { client, restSeconds, say, apply, all } = errand;
  let migration = await readMigration(client, restSeconds, signal);
  say(...planLines(migration.plan, all));
  if (!apply) return done(isDouble(migration.plan) ? 1 : 0, 'Nothing was changed: --apply does it.');
  for (let round = 0; round < ROUNDS && migration.plan.actions.length > 0; round++) {
    const { done: written, changed } = await applyActions(client, migration.plan.actions, say, signal);
    say(`${written} leases written${changed > 0 ? `, ${changed} had changed meanwhile` : ''}.`);
    migration = await readMigration(client, restSeconds, signal);
  }
  return verdict(migration);
}

/** What was read anew after the last write. */
function verdict({ plan }: Migration): Report {
  const { actions, counts } = plan;
  if (actions.length > 0)
    return done(1, `${actions.length} addresses still change while they are looked at: run it again.`);
  if (isDouble(plan))
    return done(1, 'Some addresses have two holders: see "double" above. All others have their lease.');
  return done(
    0,
    `Checked: each of the ${counts.allocations} addresses has its lease, and none has two holders.`,
  );
}

async function finish(
  { client, restSeconds, say, apply, all }: Errand,
  signal: AbortSignal,
): Promise<Report> {
  const { plan, ours } = await readMigration(client, restSeconds, signal);
  if (plan.actions.length > 0 || isDouble(plan)) {
    say(...planLines(plan, all));
    return done(1, 'Not finished: manifold migrate whereabouts --apply comes first.');
  }
  if (!apply) return done(0, ...finishLines(plan));
  await atOnce(ours, AT_ONCE, async (reservation) => {
    signal.throwIfAborted();
    await letGo(client, reservation, { namespace: reservation.metadata.namespace ?? '', signal });
  });
  return done(0, `${ours.length} reservations removed.`);
}

async function back(errand: Errand, signal: AbortSignal): Promise<Report> {
  const { client, restSeconds, say, apply, namespace } = errand;
  const migration = await readMigration(client, restSeconds, signal);
  const steps = planBack(migration);
  say(
    `${steps.length} addresses that Manifold has given are in no pool of Whereabouts, and ${migration.ours.length} reservations stand for its claims.`,
  );
  if (!apply)
    return done(
      0,
      "Nothing was changed: --apply does it. No node may run Manifold's IPAM any more when it is done.",
    );
  // One after the other: they meet in few pools.
  for (const step of steps) {
    signal.throwIfAborted();
    await giveBack(client, namespace, step, signal);
  }
  for (const reservation of migration.ours) await handOver(client, reservation, CLAIM_LABEL, signal);
  return done(
    0,
    `${steps.length} addresses written into the pools, ${migration.ours.length} reservations handed over.`,
  );
}
