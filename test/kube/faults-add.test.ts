// ADD while the API server fails in every way: what it says names the thing and what to do, its deadline is kept, and a
// later DEL or the agent leaves nothing.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/agent-node.ts';
import { applyManifests } from '../kit/control-plane/apply-manifests.ts';
import type { Cluster } from '../kit/control-plane/cluster.ts';
import { sharedCluster } from '../kit/control-plane/shared-cluster.ts';
import type { Rule } from '../kit/fault-proxy/fault.ts';
import { expectHelpful, FaultWorld, IpamBundle, RANGES } from '../kit/fault-world.ts';

let cluster: Cluster;
let program: IpamBundle;
beforeAll(async () => {
  cluster = await sharedCluster();
  await applyManifests(cluster, ['crds/iplease.yaml', 'crds/ippool.yaml']);
  program = new IpamBundle();
});
afterAll(() => program[Symbol.dispose]());

type Case = readonly [
  name: string,
  order: 'spread' | 'lowest',
  rules: readonly Rule[],
  /** CNI code; 0: it has the address all the same. */
  code: number,
];

const pass = (method: string) => ({ method, nth: 1, fault: { kind: 'pass', afterwards: 'refuse' } }) as const;
const POSTS = { method: 'POST' } as const;
/** The words of the API server's own authorizer. */
const FORBIDDEN =
  'ipleases.ipam.manifold.dev is forbidden: User "n1" cannot do that to resource "ipleases" in API group "ipam.manifold.dev" at the cluster scope';

const CLAIMS: readonly Case[] = [
  ['down between its list and its claim', 'lowest', [pass('GET')], 11],
  ['down after its claim', 'spread', [pass('POST')], 0],
  [
    'down as it answers the claim',
    'spread',
    [{ ...POSTS, fault: { kind: 'lose-answer', afterwards: 'refuse' } }],
    11,
  ],
  ['each answer to a claim is lost', 'spread', [{ ...POSTS, fault: { kind: 'lose-answer' } }], 0],
  ['each connection is reset', 'spread', [{ fault: { kind: 'drop' } }], 11],
  ['each list is cut off in the body', 'lowest', [{ method: 'GET', fault: { kind: 'cut-body' } }], 11],
  ['each answer to a claim is cut off in the body', 'spread', [{ ...POSTS, fault: { kind: 'cut-body' } }], 0],
  ['429 to all', 'spread', [{ fault: { kind: 'answer', status: 429 } }], 11],
  [
    '429 with Retry-After, once',
    'spread',
    [{ times: 1, fault: { kind: 'answer', status: 429, retryAfterSeconds: 1 } }],
    0,
  ],
  [
    '429 with a Retry-After beyond the deadline',
    'lowest',
    [{ fault: { kind: 'answer', status: 429, retryAfterSeconds: 60 } }],
    11,
  ],
  ['500 to all', 'lowest', [{ fault: { kind: 'answer', status: 500 } }], 11],
  ['500 to each claim', 'spread', [{ ...POSTS, fault: { kind: 'answer', status: 500 } }], 11],
  [
    '403 to each claim',
    'spread',
    [{ ...POSTS, fault: { kind: 'answer', status: 403, message: FORBIDDEN } }],
    108,
  ],
  [
    '403 to each list',
    'lowest',
    [{ method: 'GET', fault: { kind: 'answer', status: 403, message: FORBIDDEN } }],
    108,
  ],
  [
    '10 seconds until the claim is answered',
    'spread',
    [{ ...POSTS, times: 1, fault: { kind: 'delay', afterMs: 10_000 } }],
    0,
  ],
  [
    '10 seconds until each claim is answered',
    'spread',
    [{ ...POSTS, fault: { kind: 'delay', afterMs: 10_000 } }],
    0,
  ],
  [
    '10 seconds until each request is passed on',
    'lowest',
    [{ fault: { kind: 'delay', beforeMs: 10_000 } }],
    11,
  ],
  ['no answer to anything', 'spread', [{ fault: { kind: 'hang' } }], 11],
  ['no answer to a claim', 'lowest', [{ ...POSTS, fault: { kind: 'hang' } }], 11],
];

describe.concurrent('ADD', () => {
  test.each(CLAIMS)('%s: what it says helps, and DEL leaves nothing', async (_, order, rules, code) => {
    await using world = await FaultWorld.make(cluster, program.command);
    const ipam = RANGES[order]();
    for (const rule of rules) world.proxy.inject(rule);
    const answer = await world.call('ADD', 'p', ipam);
    expect(answer.code === 0 ? 0 : answer.error?.code).toBe(code);
    if (code !== 0) expectHelpful(answer, code);
    await world.proxy.clear();
    if (code === 0) expect(await world.held()).toEqual([`${answer.addresses[0]} p-a`]);
    await world.good('DEL', 'p', ipam);
    // Of what nobody knows what became, the next call that reaches the API server finds out.
    await world.good('ADD', 'q', ipam);
    await world.good('DEL', 'q', ipam);
    expect(await world.left()).toEqual([]);
  });

  test('down from the start: its own address for whom the node knows, "try later" for others, and DEL is done later', async () => {
    await using world = await FaultWorld.make(cluster, program.command);
    const ipam = RANGES.lowest();
    const [address] = await world.good('ADD', 'known', ipam);
    await world.good('ADD', 'ends', ipam);
    await world.proxy.setMode('refuse');
    expect(await world.good('ADD', 'known', ipam, 'b')).toEqual([address]);
    await world.good('DEL', 'known', ipam, 'a');
    const refused = await world.call('ADD', 'new', ipam);
    expectHelpful(refused, 11);
    await world.good('DEL', 'new', ipam);
    await world.good('DEL', 'ends', ipam);
    expect(world.rows().sort()).toEqual(
      [`${address} held known-b`, expect.stringMatching(/releasing ends-a$/)].sort(),
    );
    await world.proxy.clear();
    await world.good('ADD', 'next', ipam);
    expect((await world.held()).map((line) => line.replace(/.* /, '')).sort()).toEqual(
      ['known-a', 'next-a'].sort(),
    );
    await world.good('DEL', 'next', ipam);
    await world.good('DEL', 'known', ipam, 'b');
    expect(await world.left()).toEqual([]);
  });

  test('a black hole: its own address for whom the node knows, and all deadlines are kept', async () => {
    await using world = await FaultWorld.make(cluster, program.command);
    const ipam = RANGES.spread();
    const addresses = await world.good('ADD', 'known', ipam);
    await world.proxy.setMode('black-hole');
    expect(await world.good('ADD', 'known', ipam, 'b')).toEqual(addresses);
    expectHelpful(await world.call('ADD', 'new', ipam), 11);
    await world.good('DEL', 'known', ipam, 'b');
    await world.proxy.clear();
    world.node.startAgent();
    await eventually(
      () => world.left(),
      (left) => left.length === 0,
    );
  });
});
