// The guest's program as a plugin that kills itself at the step whose number MANIFOLD_TEST_KILL_AT names, or tells each
// step to who wants to kill it (MANIFOLD_TEST_SAY_STEPS).
import { writeSync } from 'node:fs';
import { env, pid } from 'node:process';
import { createSriov } from '../../../cni/sriov/plugin.ts';
import { ipamInside } from '../../../meta/bin/ipam-inside.ts';
import { start } from '../../../meta/bin/start.ts';

export const STEP = '(step)\n';

export async function runAsPlugin(): Promise<void> {
  const killAt = Number(env.MANIFOLD_TEST_KILL_AT ?? 0);
  let steps = 0;
  await start(
    'sriov',
    (deps) => [createSriov(deps), ...ipamInside(deps)],
    () => {
      steps += 1;
      if (env.MANIFOLD_TEST_SAY_STEPS !== undefined) writeSync(2, STEP);
      if (steps === killAt) process.kill(pid, 'SIGKILL');
    },
  );
}
