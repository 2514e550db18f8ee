// Our programs with a fault: the process kills itself at the step boundary whose number MANIFOLD_TEST_KILL_AT names.
// Only the tests bundle this file; what is shipped has no such switch.
import { argv, env, pid } from 'node:process';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { ipamInside } from '../../meta/bin/ipam-inside.ts';
import { metaAndDelegates } from '../../meta/bin/meta-and-delegates.ts';
import { type CreatePlugins, start } from '../../meta/bin/start.ts';

const killAt = Number(env.MANIFOLD_TEST_KILL_AT ?? 0);
let steps = 0;

function step(): void {
  steps += 1;
  if (steps === killAt) process.kill(pid, 'SIGKILL');
}

const PROGRAMS: Readonly<Record<string, CreatePlugins>> = {
  macvlan: (deps) => [createMacvlan(deps), ...ipamInside(deps)],
  'host-device': (deps) => [createHostDevice(deps), ...ipamInside(deps)],
  'manifold-ipam': (deps) => [createIpam(deps)],
  manifold: (deps) => metaAndDelegates(deps, argv[1] ?? ''),
};

const name = argv[2] ?? '';
const create = PROGRAMS[name];
if (create === undefined) throw new Error(`no program ${name}`);
void start(name, create, step);
