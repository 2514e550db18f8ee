// The guest's program as a plugin that dies at the step whose number MANIFOLD_TEST_KILL_AT names, or so many
// milliseconds after it (MANIFOLD_TEST_KILL_AFTER_MS): between two steps.
import { env, pid } from 'node:process';
import { createSriov } from '../../../cni/sriov/plugin.ts';
import { ipamInside } from '../../../meta/bin/ipam-inside.ts';
import { start } from '../../../meta/bin/start.ts';
import { killMyselfIn } from './kill-later.ts';

export async function runAsPlugin(): Promise<void> {
  const killAt = Number(env.MANIFOLD_TEST_KILL_AT ?? 0);
  const afterMs = env.MANIFOLD_TEST_KILL_AFTER_MS;
  let steps = 0;
  await start(
    'sriov',
    (deps) => [createSriov(deps), ...ipamInside(deps)],
    () => {
      steps += 1;
      if (steps !== killAt) return;
      if (afterMs === undefined) process.kill(pid, 'SIGKILL');
      else killMyselfIn(Number(afterMs));
    },
  );
}
