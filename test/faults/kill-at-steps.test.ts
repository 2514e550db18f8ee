// A program dies (SIGKILL) at each of its step boundaries; the next call mends what it left.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttachedWorld, type ProgramName } from '../kit/attached-world.ts';
import { type CrashProgram, crashProgram } from '../kit/crash-program.ts';

let crashing: CrashProgram;
beforeAll(() => {
  crashing = crashProgram();
});
afterAll(() => crashing[Symbol.dispose]());

const MOST_STEPS = 80;

/** Calls `verb` with a kill at step 1, 2, … until it ends by itself; `then` runs in each world after the kill. */
async function atEachStep(
  program: ProgramName,
  verb: 'ADD' | 'DEL',
  then: (world: AttachedWorld, step: number) => Promise<void>,
): Promise<number> {
  for (let at = 1; at <= MOST_STEPS; at++) {
    const world = new AttachedWorld(program);
    try {
      if (verb === 'DEL') expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
      const command = crashing.command(program);
      const outcome = await world.call(verb, 'a', { command, env: { MANIFOLD_TEST_KILL_AT: String(at) } });
      if (outcome.signal === null && outcome.code === 0) {
        await world.call('DEL', 'a');
        return at - 1;
      }
      expect(outcome.signal).toBe('SIGKILL');
      await then(world, at);
      world.expectGone();
    } finally {
      world.close();
    }
  }
  throw new Error(`more than ${MOST_STEPS} steps`);
}

describe.each<ProgramName>(['macvlan', 'host-device', 'manifold'])('%s', (program) => {
  test('ADD is killed at each step: DEL leaves nothing', async () => {
    const steps = await atEachStep(program, 'ADD', async (world) => {
      expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    });
    expect(steps).toBeGreaterThan(3);
  });

  test('ADD is killed at each step: the next ADD of the sandbox starts afresh, or says that it stands already', async () => {
    await atEachStep(program, 'ADD', async (world) => {
      const again = await world.call('ADD', 'a');
      if (again.code !== 0) expect(again.json.msg).toContain('already');
      world.expectAttached('a');
      expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    });
  });

  test('ADD is killed at each step: a new sandbox of the pod starts, and DEL of the old one does it no harm', async () => {
    await atEachStep(program, 'ADD', async (world) => {
      let fresh = await world.call('ADD', 'b');
      // The old sandbox stood whole, and still has the device: its DEL must come first.
      if (fresh.code !== 0) {
        expect(fresh.json.msg).toContain('pod team/trainer has it');
        expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
        fresh = await world.call('ADD', 'b');
      }
      expect(fresh).toMatchObject({ code: 0 });
      expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
      world.expectAttached('b');
      expect(await world.call('DEL', 'b')).toMatchObject({ code: 0 });
    });
  });

  test('DEL is killed at each step: DEL again leaves nothing', async () => {
    const steps = await atEachStep(program, 'DEL', async (world) => {
      expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    });
    expect(steps).toBeGreaterThan(2);
  });

  test('DEL is killed at each step: the next ADD works', async () => {
    await atEachStep(program, 'DEL', async (world) => {
      const again = await world.call('ADD', 'a');
      if (again.code !== 0) {
        expect(again.json.msg).toContain('already');
        expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
        expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
      }
      world.expectAttached('a');
      expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    });
  });
});
