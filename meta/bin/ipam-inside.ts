import { createIpam } from '../../ipam/plugin.ts';
import { createWhereabouts } from '../../ipam/whereabouts/plugin.ts';
import type { Plugin } from '../../pkg/cni/plugin.ts';
import type { ProgramDeps } from './program-deps.ts';

/** Inside an interface plugin's ADD an address is only claimed: it is held when the whole attachment stands. */
export function ipamInside(deps: ProgramDeps): Plugin[] {
  const inside = { ...deps, leaseAs: 'claimed' } as const;
  return [createIpam(inside), createWhereabouts(inside)];
}
