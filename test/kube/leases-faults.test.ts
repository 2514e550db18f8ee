// The allocator while the API server is away, answers are lost, and processes die: nothing is given twice, and what is
// left is ended by whoever comes next.
import { describe, expect, test } from 'vitest';
import { finishReleases } from '../../ipam/finish-releases.ts';
import { reaffirm } from '../../ipam/obtain-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { type ClusterNode, leasesOf } from '../kit/cluster-node.ts';
import type { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { claimRequest } from '../kit/lease-world.ts';
import { nodesBehindProxy } from '../kit/proxied-nodes.ts';

let proxy: FaultProxy;
let admin: KubeClient;
const node = nodesBehindProxy((made) => {
  ({ proxy, admin } = made);
});

const wide = { range: '10.16.0.0/12' };
const soon = () => AbortSignal.timeout(10_000);
/** The next process of this node: what `one` wrote is a dead process's. */
function afterKill(one: ClusterNode): void {
  for (const row of one.node.clusterLeases.all())
    one.node.clusterLeases.update({ ...row, writer: one.deadWriter() });
}

describe('the API server is away', () => {
  test('an owner that this node knows gets its own address; any other is told to try later; DEL waits', async () => {
    const n1 = node();
    const first = await n1.give(wide, { uid: 'u1', container: 'a' });
    await n1.give(wide, { uid: 'u2', container: 'x' });
    await proxy.setMode('refuse');
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual(first);
    await n1.free('a'); // the older container's: nothing
    await n1.free('x');
    expect(n1.said.join('\n')).toContain('ended later');
    expect(n1.rows()).toContain(`${first[0]} held b`);
    expect(n1.rows()).toContainEqual(expect.stringMatching(/ releasing x$/));
    await proxy.setMode('open');
    afterKill(n1);
    expect(await finishReleases(n1.deps, 9, soon())).toBe(1);
    const held = (await leasesOf(admin)).filter((line) => line.includes('Held'));
    expect(held).toEqual([`${first[0]} Held a n1`]);
    const [row] = n1.node.clusterLeases.ofContainer('b');
    if (row !== undefined) expect(await reaffirm(n1.deps, row, soon())).toBe('renewed');
    expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual([
      `${first[0]} Held b n1`,
    ]);
  });

  test('a claim of what this node does not know fails as retryable and leaves no row', async () => {
    const n1 = node();
    await proxy.setMode('refuse');
    await expect(n1.give(wide)).rejects.toMatchObject({ code: 'try-later' });
    expect(n1.rows()).toEqual([]);
  });

  test('an address whose DEL did not reach the API server goes back to its owner without asking', async () => {
    const n1 = node();
    const first = await n1.give(wide, { uid: 'u1', container: 'a' });
    await proxy.setMode('refuse');
    await n1.free('a');
    expect(n1.rows()).toEqual([`${first[0]} releasing a`]);
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual(first);
    await proxy.setMode('open');
    await n1.free('b');
    expect(await leasesOf(admin)).toEqual([expect.stringMatching(/ Resting /)]);
  });

  test('an address of which nobody knows whether it was ended is asked for', async () => {
    const n1 = node();
    const [address] = await n1.give(wide, { uid: 'u1', container: 'a' });
    proxy.inject({ method: 'PUT', fault: { kind: 'lose-answer', afterwards: 'refuse' } });
    await n1.free('a');
    expect(n1.rows()).toEqual([`${address} releasing a`]);
    expect(n1.node.clusterLeases.all()[0]?.object).toBeUndefined();
    await expect(n1.give(wide, { uid: 'u1', container: 'b' })).rejects.toMatchObject({ code: 'try-later' });
    await proxy.clear();
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual([address]);
    expect(await leasesOf(admin)).toEqual([`${address} Held b n1`]);
  });

  test('one attachment cannot be asked for: what the others got is given back, now or later', async () => {
    const n1 = node();
    proxy.inject({ method: 'POST', nth: 2, fault: { kind: 'drop', afterwards: 'refuse' } });
    const requests = [0, 1].map((i) =>
      claimRequest({ range: `10.${40 + i}.0.0/16` }, { ifname: `net${i}`, network: `rail${i}` }),
    );
    await expect(n1.store.claim(requests, 'claimed')).rejects.toMatchObject({ code: 'try-later' });
    await proxy.clear();
    afterKill(n1);
    await finishReleases(n1.deps, 9, soon());
    expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual([]);
    expect(n1.rows().filter((row) => !row.includes('resting'))).toEqual([]);
  });
});

describe('answers', () => {
  test.each([
    ['lost after the claim', { method: 'POST', times: 1, fault: { kind: 'lose-answer' } }],
    ['429 once', { method: 'POST', times: 1, fault: { kind: 'answer', status: 429, retryAfterSeconds: 1 } }],
    ['500 once', { method: 'POST', times: 1, fault: { kind: 'answer', status: 500 } }],
    ['cut in the body', { method: 'POST', times: 1, fault: { kind: 'cut-body' } }],
  ] as const)('%s: one address is given, and one lease is there', async (_, rule) => {
    const n1 = node();
    proxy.inject(rule);
    const [address] = await n1.give(wide);
    expect(await leasesOf(admin)).toEqual([`${address} Held c1 n1`]);
  });

  test('a refusal is told as it is, and nothing is left', async () => {
    const n1 = node();
    proxy.inject({ method: 'POST', fault: { kind: 'answer', status: 403 } });
    await expect(n1.give(wide)).rejects.toMatchObject({ code: 'api' });
    expect(n1.rows()).toEqual([]);
  });

  test('a DEL that is refused succeeds, and is tried again by the next call', async () => {
    const n1 = node();
    const [address] = await n1.give(wide, { container: 'a' });
    proxy.inject({ method: 'PUT', times: 1, fault: { kind: 'answer', status: 403 } });
    await n1.free('a');
    expect(n1.rows()).toEqual([`${address} releasing a`]);
    afterKill(n1);
    await n1.give({ range: '10.1.0.0/16' }, { container: 'b', network: 'rail1' });
    expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toHaveLength(1);
  });
});

describe('killed', () => {
  const STEPS = [
    'write intents',
    'ask for lease',
    'record answers',
    'marked as releasing',
    'lease ended',
    'finish release',
  ];

  test.each(STEPS)(
    'at "%s": the next calls on the node end what was left, and give no address twice',
    async (at) => {
      let isAlive = true;
      const n1 = node('n1', {
        step(name) {
          // Neither does a process that is dead by now do anything afterwards.
          if (name === at || !isAlive) {
            isAlive = false;
            throw new Error('killed');
          }
        },
      });
      // The last one is only come to when something was left.
      if (at === 'finish release') {
        const left = await n1.give(wide, { container: 'left' });
        await proxy.setMode('refuse');
        await n1.free('left');
        await proxy.setMode('open');
        afterKill(n1);
        expect(left).toHaveLength(1);
      }
      const run = async () => {
        await n1.give(wide, { uid: 'u1', container: 'a' });
        await n1.free('a');
      };
      await expect(run()).rejects.toThrow('killed');
      afterKill(n1);

      const later = node('n1', { store: n1.node });
      const [again] = await later.give(wide, { uid: 'u1', container: 'b' });
      const other = await node('n2').give({ ...wide, addresses: [] }, { uid: 'u2', container: 'z' });
      expect(other).not.toEqual([again]);
      await finishReleases(later.deps, 9, soon());
      const held = (await leasesOf(admin)).filter((line) => line.includes('Held'));
      expect(held.toSorted()).toEqual([`${again} Held b n1`, `${other[0]} Held z n2`].toSorted());
      await later.free('b');
      expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual([
        `${other[0]} Held z n2`,
      ]);
      expect(later.rows().filter((row) => !row.includes('resting'))).toEqual([]);
    },
  );

  test('a claim of a process that died, and whose pod’s namespace is gone, makes room when nothing else is free', async () => {
    const n1 = node();
    const tiny = { range: '10.0.0.0/31' };
    for (const container of ['a', 'b'])
      await n1.give(tiny, { container }, container === 'a' ? 'claimed' : 'held');
    await expect(n1.give(tiny, { container: 'late' })).rejects.toMatchObject({ code: 'no-address' });
    afterKill(n1);
    expect(await n1.give(tiny, { container: 'late' })).toEqual(['10.0.0.0']);
  });
});

test('a claim that fails gives back nothing that a later call of the same owner has made its own', async () => {
  const n1 = node();
  const reserved = { addresses: [{ address: '10.9.9.9/24' }] };
  await node('n2').give(reserved, { container: 'z' });
  const other = node('n1', { store: n1.node });
  let second: Promise<string[]> | undefined;
  const failing = node('n1', {
    store: n1.node,
    step(name) {
      if (name === 'give back') second = other.give(wide, { uid: 'u1', container: 'b' });
    },
  });
  // The first of two addresses is got, the second is another's; then another sandbox of the pod claims the first.
  const requests = [
    claimRequest(wide, { uid: 'u1', container: 'a' }),
    claimRequest(reserved, { uid: 'u1', container: 'a', ifname: 'net2', network: 'rail1' }),
  ];
  await expect(failing.store.claim(requests, 'claimed')).rejects.toMatchObject({ code: 'address-held' });
  const [address] = (await second) ?? [];
  expect(address).toBeDefined();
  expect(await leasesOf(admin)).toContain(`${address} Held b n1`);
  expect(n1.rows()).toEqual([`${address} held b`]);
});
