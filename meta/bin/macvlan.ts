import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { boot } from './boot.ts';
import { ipamInside } from './ipam-inside.ts';
import { start } from './start.ts';

boot(() => void start('macvlan', (deps) => [createMacvlan(deps), ...ipamInside(deps)]));
