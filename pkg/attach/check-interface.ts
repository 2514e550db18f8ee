// CHECK of one interface: a plan from what is there to what ADD set, which must come out empty.
import type { CheckCall } from '../cni/plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import { describeDifferences, readInterface } from '../kernel/apply.ts';
import type { Namespace, NewMacvlan } from '../kernel/kernel.ts';
import { planInterface } from '../kernel/plan.ts';
import { wantedInterface } from './configure.ts';
import { describePod, podOf } from './deps.ts';
import type { Expected } from './interface-result.ts';

/**
 * @param macvlan the macvlan that the interface must be; undefined for a device
 * @throws ManifoldError 'check-failed' with every difference
 */
export function checkInterface(
  call: CheckCall<unknown>,
  pod: Namespace,
  expected: Expected,
  macvlan?: NewMacvlan,
): void {
  const all = wantedInterface(expected.made, expected.result, macvlan);
  const want = { ...all, sysctls: all.sysctls.filter((sysctl) => sysctl.required) };
  const facts = readInterface(pod, want);
  const who = describePod(podOf(call.args), call.containerId);
  const hint = 'Something changed the interface after ADD. Recreate the pod to set it up again.';
  if (facts.link === undefined)
    throw new ManifoldError(
      'check-failed',
      `Cannot find ${call.ifname} of ${who} in ${call.netns}: the interface is gone or was renamed`,
      { hint },
    );
  const steps = planInterface(want, facts).filter((step) => step.do !== 'wait-for-dad');
  if (steps.length > 0)
    throw new ManifoldError(
      'check-failed',
      `Cannot confirm ${call.ifname} of ${who}: ${describeDifferences(steps, call.ifname)}`,
      { hint },
    );
}
