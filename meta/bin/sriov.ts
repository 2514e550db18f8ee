import { createSriov } from '../../cni/sriov/plugin.ts';
import { boot } from './boot.ts';
import { ipamInside } from './ipam-inside.ts';
import { start } from './start.ts';

boot(() => void start('sriov', (deps) => [createSriov(deps), ...ipamInside(deps)]));
