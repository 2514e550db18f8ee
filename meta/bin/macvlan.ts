import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { boot } from './boot.ts';
import { start } from './start.ts';

boot(() => void start('macvlan', (deps) => [createMacvlan(deps), createIpam(deps)]));
