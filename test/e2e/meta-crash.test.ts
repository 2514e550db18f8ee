// ADD and DEL of manifold, killed at every boundary between two effects and at random moments: the next DEL and the next
// ADD of the same pod leave nothing lost, doubled or behind.
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectClean } from '../kit/clean.ts';
import { type MetaCall, MetaNode } from '../kit/meta-node.ts';
import { NODE } from '../kit/test-node.ts';

/** More than there are: the loops end where a call lives through. */
const MOST_STEPS = 60;
const RANDOM_KILLS = 60;

let bundle: string;
beforeAll(() => {
  bundle = join(mkdtempSync(join(tmpdir(), 'manifold-crash-')), 'manifold.cjs');
  const source = join(import.meta.dirname, '../kit/dying-manifold.ts');
  buildSync({ entryPoints: [source], outfile: bundle, bundle: true, platform: 'node', format: 'cjs' });
});
afterAll(() => rmSync(join(bundle, '..'), { recursive: true }));

let node: MetaNode;
let networks: string;
beforeEach(() => {
  node = new MetaNode();
  networks = node.defineRails(1);
});
afterEach(() => node.close());

const dying = (step: number): MetaCall => ({ command: [...NODE, bundle, String(step)] });
const add = (pod: string, more: MetaCall = {}) =>
  node.manifoldCall('ADD', pod, { networks, ...dying(0), ...more });
const del = (pod: string, more: MetaCall = {}) => node.manifoldCall('DEL', pod, { ...dying(0), ...more });

/** Calls `work` with 1, 2, 3, … until the call that it makes lives through. */
async function atEachStep(work: (step: number) => Promise<'killed' | 'lived'>): Promise<number> {
  for (let step = 1; step <= MOST_STEPS; step++) if ((await work(step)) === 'lived') return step - 1;
  throw new Error(`more than ${MOST_STEPS} steps`);
}

/** Kills ADD for a new pod at a step. */
async function killedAdd(pod: string, step: number, more: MetaCall = {}): Promise<'killed' | 'lived'> {
  node.addPod(pod);
  const { signal, code, stdout } = await add(pod, { ...dying(step), ...more });
  if (signal === null && code !== 0) throw new Error(`ADD failed: ${stdout}`);
  return signal === 'SIGKILL' ? 'killed' : 'lived';
}

function expectAttached(pod: string, containerId = `c-${pod}`): void {
  expect(node.interfaces(pod)).toEqual(['eth0', 'net1']);
  const mine = node.journal().filter((record) => record.containerId === containerId);
  expect(mine).toMatchObject([
    { ifname: 'eth0', state: 'added' },
    { ifname: 'net1', state: 'added' },
  ]);
  expect(node.leased()).toHaveLength(2);
}

describe('ADD killed at every step', () => {
  test('is mended by the next DEL', async () => {
    const steps = await atEachStep(async (step) => {
      const ended = await killedAdd(`p${step}`, step);
      expect(await del(`p${step}`), `step ${step}`).toMatchObject({ code: 0, stdout: '' });
      expect(node.interfaces(`p${step}`), `step ${step}`).toEqual([]);
      expectClean(node);
      node.removePod(`p${step}`);
      return ended;
    });
    expect(steps).toBeGreaterThan(15);
  });

  test('is mended by the next ADD of the same sandbox', async () => {
    await atEachStep(async (step) => {
      const pod = `p${step}`;
      const ended = await killedAdd(pod, step);
      const again = await add(pod);
      // All of it stood already, and only the answer was lost: that is an interface that exists.
      if (again.code === 0) expectAttached(pod);
      else expect(again.json.msg, `step ${step}`).toContain('attached already');
      expectAttached(pod);
      expect(await del(pod)).toMatchObject({ code: 0 });
      expectClean(node);
      node.removePod(pod);
      return ended;
    });
  });

  test('is mended by the ADD of a new sandbox of the same pod, which gets the same addresses', async () => {
    await atEachStep(async (step) => {
      const [old, pod, uid] = [`p${step}`, `q${step}`, `uid-${step}`];
      const ended = await killedAdd(old, step, { uid });
      const claimed = node.leased().map((lease) => lease.split(' ')[0]);
      node.removePod(old);
      node.addPod(pod);
      expect(await add(pod, { uid }), `step ${step}`).toMatchObject({ code: 0 });
      expectAttached(pod);
      expect(node.journal().map((record) => record.containerId)).toEqual([`c-${pod}`, `c-${pod}`]);
      expect(node.leased().map((lease) => lease.split(' ')[0])).toEqual(expect.arrayContaining(claimed));
      // A late DEL of the old sandbox takes nothing from the new one.
      const late = { uid, netns: '', containerId: `c-${old}` };
      expect(await node.manifoldCall('DEL', old, { ...dying(0), ...late })).toMatchObject({ code: 0 });
      expectAttached(pod);
      expect(await del(pod, { uid })).toMatchObject({ code: 0 });
      expectClean(node);
      node.removePod(pod);
      return ended;
    });
  });
});

test('DEL killed at every step is mended by the next DEL', async () => {
  const steps = await atEachStep(async (step) => {
    const pod = `p${step}`;
    node.addPod(pod);
    expect(await add(pod)).toMatchObject({ code: 0 });
    const { signal } = await del(pod, dying(step));
    expect(await del(pod), `step ${step}`).toMatchObject({ code: 0, stdout: '' });
    expect(node.interfaces(pod), `step ${step}`).toEqual([]);
    expectClean(node);
    node.removePod(pod);
    return signal === 'SIGKILL' ? 'killed' : 'lived';
  });
  expect(steps).toBeGreaterThan(10);
});

test('ADD and DEL killed at random moments are mended by the next DEL', async () => {
  let killed = 0;
  for (let round = 0; round < RANDOM_KILLS; round++) {
    const pod = `r${round}`;
    node.addPod(pod);
    const verb = round % 2 === 0 ? 'ADD' : 'DEL';
    if (verb === 'DEL') expect(await add(pod)).toMatchObject({ code: 0 });
    const delay = randomInt(40, 200);
    const { signal } = await node.manifoldCall(verb, pod, {
      networks,
      ...dying(0),
      spawned: (pid) => void sleep(delay).then(() => killIfThere(pid)),
    });
    if (signal === 'SIGKILL') killed++;
    expect(await del(pod), `${verb} killed after ${delay} ms`).toMatchObject({ code: 0 });
    expect(node.interfaces(pod)).toEqual([]);
    expectClean(node);
    node.removePod(pod);
  }
  expect(killed).toBeGreaterThan(RANDOM_KILLS / 4);
});

function killIfThere(pid: number): void {
  try {
    kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
