import { createIpam } from '../../ipam/plugin.ts';
import type { ProgramDeps } from './program-deps.ts';

/** Inside an interface plugin's ADD an address is only claimed: it is held when the whole attachment stands. */
export const ipamInside = (deps: ProgramDeps) => createIpam({ ...deps, leaseAs: 'claimed' });
