import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { boot } from './boot.ts';
import { ipamInside } from './ipam-inside.ts';
import { start } from './start.ts';

boot(() => void start('host-device', (deps) => [createHostDevice(deps), ...ipamInside(deps)]));
