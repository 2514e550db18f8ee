// All cases of the virtual machine, in the order in which they run there.
import type { VmGroup } from './case.ts';
import { fixture } from './cases/fixture.ts';

export const VM_GROUPS: readonly VmGroup[] = [fixture];
