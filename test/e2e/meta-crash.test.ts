// manifold, killed at every boundary between two effects, where it is not the sandbox itself that is called again: a new
// sandbox of the pod takes over, and an ADD dies while it takes itself back. The common cases are in test/faults.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { expectClean } from '../kit/clean.ts';
import { type CrashProgram, crashProgram } from '../kit/crash-program.ts';
import { type MetaCall, MetaNode } from '../kit/meta-node.ts';

/** More than there are: the loops end where a call lives through. */
const MOST_STEPS = 80;

let crashing: CrashProgram;
beforeAll(() => {
  crashing = crashProgram();
});
afterAll(() => crashing[Symbol.dispose]());
let node: MetaNode;
beforeEach(() => {
  node = new MetaNode();
});
afterEach(() => node.close());

const killedAt = (step: number): MetaCall => ({
  command: crashing.command('manifold'),
  env: { MANIFOLD_TEST_KILL_AT: String(step) },
});

/** Calls `work` with 1, 2, 3, … until the call that it makes lives through. */
async function atEachStep(work: (step: number) => Promise<{ signal: string | null }>): Promise<number> {
  for (let step = 1; step <= MOST_STEPS; step++) if ((await work(step)).signal === null) return step - 1;
  throw new Error(`more than ${MOST_STEPS} steps`);
}

test('a new sandbox of the pod, whose old one died with its ADD, gets the same addresses, and a late DEL takes none', async () => {
  node.define('default', 'rail0', node.macvlan({ range: '10.2.0.0/24', gateway: '10.2.0.254' }));
  const networks = JSON.stringify([{ name: 'rail0', 'default-route': ['10.2.0.254'] }]);
  const steps = await atEachStep(async (step) => {
    const [old, pod, uid] = [`p${step}`, `q${step}`, `uid-${step}`];
    node.addPod(old);
    const killed = await node.manifoldCall('ADD', old, { networks, uid, ...killedAt(step) });
    const claimed = node.leased().map((lease) => lease.split(' ')[0]);
    node.removePod(old);
    node.addPod(pod);
    expect(await node.manifoldCall('ADD', pod, { networks, uid }), `step ${step}`).toMatchObject({ code: 0 });
    const expectAttached = () => {
      expect(node.interfaces(pod)).toEqual(['eth0', 'net1']);
      expect(node.journal()).toMatchObject([
        { containerId: `c-${pod}`, ifname: 'eth0', state: 'added' },
        { containerId: `c-${pod}`, ifname: 'net1', state: 'added' },
      ]);
      const held = node.leased();
      expect(held).toHaveLength(2);
      expect(held.map((lease) => lease.split(' ')[0])).toEqual(expect.arrayContaining(claimed));
    };
    expectAttached();
    const late = { uid, netns: '', containerId: `c-${old}` };
    expect(await node.manifoldCall('DEL', old, late)).toMatchObject({ code: 0 });
    expectAttached();
    expect(await node.manifoldCall('DEL', pod, { uid })).toMatchObject({ code: 0 });
    expectClean(node);
    node.removePod(pod);
    return killed;
  });
  expect(steps).toBeGreaterThan(15);
});

test('an ADD that dies while it takes itself back is mended by the next DEL', async () => {
  const networks = `${node.defineRails(1)}, bad`;
  node.define('default', 'bad', { ...node.macvlan({ range: '10.4.0.0/24' }), master: 'no-such-nic' });
  const steps = await atEachStep(async (step) => {
    const pod = `p${step}`;
    node.addPod(pod);
    const failed = await node.manifoldCall('ADD', pod, { networks, ...killedAt(step) });
    if (failed.signal === null) {
      expect(failed).toMatchObject({ code: 1, json: { msg: expect.stringContaining('no-such-nic') } });
      expectClean(node);
    }
    expect(await node.manifoldCall('DEL', pod), `step ${step}`).toMatchObject({ code: 0, stdout: '' });
    expect(node.interfaces(pod), `step ${step}`).toEqual([]);
    expectClean(node);
    node.removePod(pod);
    return failed;
  });
  expect(steps).toBeGreaterThan(30);
});
