// DEL while the API server fails in every way: it succeeds, and whoever comes next carries it out.
import { afterAll, beforeAll, describe, test } from 'vitest';
import { eventually } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import type { Rule } from '../kit/fault-proxy/fault.ts';
import { FaultWorld, IpamBundle, RANGES } from '../kit/fault-world.ts';

let cluster: Cluster;
let program: IpamBundle;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  program = new IpamBundle();
});
afterAll(() => program[Symbol.dispose]());

const PUTS = { method: 'PUT' } as const;
const DELETES = { method: 'DELETE' } as const;

const RELEASES: readonly (readonly [name: string, order: 'spread' | 'lowest', rules: readonly Rule[]])[] = [
  ['down as it answers', 'spread', [{ ...PUTS, fault: { kind: 'lose-answer', afterwards: 'refuse' } }]],
  [
    'down as it answers a deletion',
    'lowest',
    [{ ...DELETES, fault: { kind: 'lose-answer', afterwards: 'refuse' } }],
  ],
  ['each answer is lost', 'spread', [{ ...PUTS, fault: { kind: 'lose-answer' } }]],
  ['each answer to a deletion is lost', 'lowest', [{ ...DELETES, fault: { kind: 'lose-answer' } }]],
  ['each connection is reset', 'spread', [{ fault: { kind: 'drop' } }]],
  ['each answer is cut off in the body', 'lowest', [{ fault: { kind: 'cut-body' } }]],
  ['429 to all', 'spread', [{ fault: { kind: 'answer', status: 429, retryAfterSeconds: 1 } }]],
  [
    '429 with a Retry-After beyond the deadline',
    'spread',
    [{ fault: { kind: 'answer', status: 429, retryAfterSeconds: 60 } }],
  ],
  ['500 to all', 'lowest', [{ fault: { kind: 'answer', status: 500 } }]],
  ['403 to all', 'spread', [{ fault: { kind: 'answer', status: 403 } }]],
  ['10 seconds until it is answered', 'spread', [{ ...PUTS, fault: { kind: 'delay', afterMs: 10_000 } }]],
  ['no answer', 'lowest', [{ fault: { kind: 'hang' } }]],
];

describe.concurrent('DEL', () => {
  test.each(RELEASES)(
    '%s: it succeeds, and the next call or the agent leaves nothing',
    async (_, order, rules) => {
      await using world = await FaultWorld.make(cluster, program.command);
      await using other = await FaultWorld.make(cluster, program.command);
      for (const [one, finisher] of [
        [world, 'call'],
        [other, 'agent'],
      ] as const) {
        const ipam = RANGES[order]();
        await one.good('ADD', 'p', ipam);
        for (const rule of rules) one.proxy.inject(rule);
        await one.good('DEL', 'p', ipam);
        await one.proxy.clear();
        if (finisher === 'agent') one.node.startAgent();
        else {
          await one.good('ADD', 'q', ipam);
          await one.good('DEL', 'q', ipam);
        }
        await eventually(
          () => one.left(),
          (left) => left.length === 0,
          finisher === 'agent' ? 30_000 : 0,
        );
      }
    },
  );
});
