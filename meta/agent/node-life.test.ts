import { expect, test } from 'vitest';
import { NodeLife } from './node-life.ts';

const EVERY = 30_000;
const versions = (version: string) => new Map([['node-1', version]]);

test('a node whose kubelet and agent do not renew is silent from when that was first seen', () => {
  const life = new NodeLife(EVERY);
  for (let now = 0; now <= 300_000; now += EVERY) {
    life.seeKubelets(versions('7'), ['node-1'], now);
    life.seeAgent('node-1', '8', now);
  }
  expect(life.silentMs('node-1')).toBe(300_000);
});

test.each(['kubelet', 'agent'])('a renewal by the %s alone is life', (who) => {
  const life = new NodeLife(EVERY);
  for (let now = 0; now <= 300_000; now += EVERY) {
    life.seeKubelets(versions(who === 'kubelet' ? `${now}` : '7'), ['node-1'], now);
    life.seeAgent('node-1', who === 'agent' ? `${now}` : '8', now);
  }
  expect(life.silentMs('node-1')).toBe(0);
});

test('a node whose agent was never looked at is not silent', () => {
  const life = new NodeLife(EVERY);
  for (let now = 0; now <= 300_000; now += EVERY) life.seeKubelets(versions('7'), ['node-1'], now);
  expect(life.kubeletSilentMs('node-1')).toBe(300_000);
  expect(life.silentMs('node-1')).toBe(0);
});

test('a node without any Lease is silent too', () => {
  const life = new NodeLife(EVERY);
  for (let now = 0; now <= 60_000; now += EVERY) {
    life.seeKubelets(new Map(), ['node-1'], now);
    life.seeAgent('node-1', undefined, now);
  }
  expect(life.silentMs('node-1')).toBe(60_000);
});

test('silence while the API server was away is not counted: nobody could renew', () => {
  const life = new NodeLife(EVERY);
  for (const now of [0, EVERY, 2 * EVERY, 600_000]) {
    life.seeKubelets(versions('7'), ['node-1'], now);
    life.seeAgent('node-1', '8', now);
  }
  expect(life.silentMs('node-1')).toBe(0);
});

test('a node that nothing is asked about any more is forgotten', () => {
  const life = new NodeLife(EVERY);
  life.seeKubelets(versions('7'), ['node-1'], 0);
  life.seeKubelets(versions('7'), [], EVERY);
  life.seeKubelets(versions('7'), ['node-1'], 2 * EVERY);
  expect(life.kubeletSilentMs('node-1')).toBe(0);
});

test('a pass that takes long is no time in which nobody looked, as long as the API server answers', () => {
  const life = new NodeLife(EVERY);
  for (const now of [0, 150_000, 300_000]) {
    life.seeKubelets(versions('7'), ['node-1'], now);
    life.seeAgent('node-1', '8', now);
    for (let later = now; later < now + 150_000; later += EVERY) life.answered(later);
  }
  expect(life.silentMs('node-1')).toBe(300_000);
});

test('an answer that comes too late makes up for nothing', () => {
  const life = new NodeLife(EVERY);
  for (const now of [0, 150_000]) {
    life.seeKubelets(versions('7'), ['node-1'], now);
    life.seeAgent('node-1', '8', now);
    life.answered(now + 140_000);
  }
  expect(life.silentMs('node-1')).toBe(0);
});

test('silence is counted up to the last look, not beyond: the node may have spoken since', () => {
  const life = new NodeLife(EVERY);
  for (const now of [0, EVERY]) {
    life.seeKubelets(versions('7'), ['node-1'], now);
    life.seeAgent('node-1', '8', now);
  }
  life.answered(2 * EVERY);
  expect(life.silentMs('node-1')).toBe(EVERY);
  expect(life.kubeletSilentMs('node-1')).toBe(EVERY);
});
