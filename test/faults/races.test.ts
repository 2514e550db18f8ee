// Calls that no runtime should make at once, made at once: whoever is told "done" has what was promised, and the rest
// leaves nothing.
import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { AttachedWorld, type ProgramName } from '../kit/attached-world.ts';
import { TestNode } from '../kit/test-node.ts';

const ROUNDS = 20;

describe.each<ProgramName>(['macvlan', 'host-device', 'manifold'])('%s', (program) => {
  test('two ADDs of one attachment: one at most succeeds, and then it stands', async () => {
    const world = new AttachedWorld(program);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const outcomes = await Promise.all([world.call('ADD', 'a'), world.call('ADD', 'a')]);
        const winners = outcomes.filter((outcome) => outcome.code === 0);
        expect(winners.length).toBeLessThanOrEqual(1);
        if (winners.length === 1) world.expectAttached('a');
        for (const outcome of outcomes) if (outcome.code !== 0) expect(outcome.json.msg).toMatch(/^Cannot /);
        expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
        world.expectGone();
      }
    } finally {
      world.close();
    }
  });

  test('ADD and DEL of one attachment: one more DEL leaves nothing', async () => {
    const world = new AttachedWorld(program);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all([world.call('ADD', 'a'), world.call('DEL', 'a')]);
        expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
        world.expectGone();
      }
    } finally {
      world.close();
    }
  });
});

test('ten pods want one device: one has it, nine are told who', async () => {
  using node = new TestNode();
  node.addNic('eth5');
  const pods = Array.from({ length: 10 }, (_, n) => `p${n}`);
  for (const pod of pods) node.addPod(pod);
  const conf = {
    cniVersion: '1.1.0',
    name: 'fabric',
    type: 'host-device',
    device: 'eth5',
    manifold: node.manifold,
  };
  for (let round = 0; round < 3; round++) {
    const outcomes = await Promise.all(pods.map((pod) => node.call('host-device', 'ADD', conf, { pod })));
    const winner = pods.filter((_, n) => outcomes[n]?.code === 0);
    expect(winner).toHaveLength(1);
    for (const { code, json } of outcomes) if (code !== 0) expect(json.msg).toMatch(/has it|eth5/);
    expect(node.links(winner[0]).map((link) => link.ifname)).toEqual(['net1']);
    for (const pod of pods)
      expect(await node.call('host-device', 'DEL', conf, { pod })).toMatchObject({ code: 0 });
    expect(node.links().some((link) => link.ifname === 'eth5')).toBe(true);
  }
});

test('64 pods are attached at once to two networks of overlapping ranges: no address twice, none refused', async () => {
  using node = new TestNode();
  node.addNic('eth0');
  const pods = Array.from({ length: 64 }, (_, n) => `p${n}`);
  for (const pod of pods) node.addPod(pod);
  const conf = (n: number) => ({
    cniVersion: '1.1.0',
    name: n % 2 === 0 ? 'even' : 'odd',
    type: 'macvlan',
    master: 'eth0',
    ipam: { type: 'manifold-ipam', range: n % 2 === 0 ? '10.40.0.0/24' : '10.40.0.0/23' },
    manifold: node.manifold,
  });
  const waiting = pods.map((pod, n) => ({ pod, n }));
  const given: string[] = [];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const outcome = await node.call('macvlan', 'ADD', conf(next.n), { pod: next.pod });
      expect(outcome.code, outcome.stdout).toBe(0);
      given.push(
        ...node
          .links(next.pod)
          .flatMap((link) => link.addr_info.filter((a) => a.scope === 'global').map((a) => a.local)),
      );
    }
  };
  await Promise.all(Array.from({ length: 16 * availableParallelism() }, worker));
  expect(given).toHaveLength(64);
  expect(new Set(given).size).toBe(64);
});
