import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { boot } from './boot.ts';
import { start } from './start.ts';

boot(() => void start('host-device', (deps) => [createHostDevice(deps), createIpam(deps)]));
