// The shipped executables die (SIGKILL) at random moments, 500 times; the next calls mend what they left.
import { availableParallelism } from 'node:os';
import { hrtime } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFailed, test } from 'vitest';
import { AttachedWorld, type ProgramName } from '../kit/attached-world.ts';

const KILLS = 500;
const PROGRAMS: readonly ProgramName[] = ['macvlan', 'host-device', 'manifold', 'manifold-ipam'];

/** A small generator (mulberry32), so that a failed run can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = hrtime.bigint();
  await work();
  return Number(hrtime.bigint() - start) / 1e6;
}

/** Calls, and kills after `afterMs`. @returns whether it was killed before it ended */
async function killed(world: AttachedWorld, verb: 'ADD' | 'DEL', afterMs: number): Promise<boolean> {
  let kill: Promise<unknown> | undefined;
  const outcome = await world.call(verb, 'a', {
    spawned: (pid) => {
      kill = sleep(afterMs).then(() => {
        try {
          process.kill(pid, 'SIGKILL');
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
        }
      });
    },
  });
  await kill;
  return outcome.signal === 'SIGKILL';
}

async function oneKill(world: AttachedWorld, verb: 'ADD' | 'DEL', durationMs: number, draw: () => number) {
  if (verb === 'DEL') expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
  const hit = await killed(world, verb, draw() * durationMs);
  if (draw() < 0.5) {
    // The next ADD of the same sandbox: afresh, or it says that the interface stands already.
    const again = await world.call('ADD', 'a');
    if (again.code !== 0) expect(again.json.msg).toContain('already');
    else world.expectAttached('a');
  }
  expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
  world.expectGone();
  return hit;
}

async function warmDurations(world: AttachedWorld): Promise<Record<'ADD' | 'DEL', number>> {
  const durations = { ADD: Number.POSITIVE_INFINITY, DEL: Number.POSITIVE_INFINITY };
  for (let n = 0; n < 3; n++)
    for (const verb of ['ADD', 'DEL'] as const) {
      const ms = await timed(async () => expect(await world.call(verb, 'a')).toMatchObject({ code: 0 }));
      durations[verb] = Math.min(durations[verb], ms);
    }
  return durations;
}

async function worker(program: ProgramName, kills: number, seed: number): Promise<number> {
  const draw = random(seed);
  const world = new AttachedWorld(program);
  try {
    const duration = await warmDurations(world);
    let hits = 0;
    for (let tries = 0; hits < kills; tries++) {
      // A moment beyond the call's end hits nothing: some must, most must not.
      expect(tries).toBeLessThan(3 * kills);
      const verb = draw() < 0.6 ? 'ADD' : 'DEL';
      if (await oneKill(world, verb, duration[verb], draw)) hits++;
    }
    return hits;
  } finally {
    world.close();
  }
}

test(`${KILLS} kills of ADD and DEL leave nothing lost, doubled or behind`, {
  timeout: 600_000,
}, async () => {
  const seed = Date.now() & 0xffffff;
  onTestFailed(() => void process.stderr.write(`kill-at-random: seed ${seed}\n`));
  const workers = Math.max(PROGRAMS.length, availableParallelism());
  const share = Math.ceil(KILLS / workers);
  const hits = await Promise.all(
    Array.from({ length: workers }, (_, n) =>
      worker(PROGRAMS[n % PROGRAMS.length] ?? 'macvlan', share, seed + n),
    ),
  );
  expect(hits.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(KILLS);
});
