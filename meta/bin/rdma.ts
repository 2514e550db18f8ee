import { createRdmaPlugin } from '../../cni/rdma/plugin.ts';
import { boot } from './boot.ts';
import { start } from './start.ts';

boot(() => void start('rdma', (deps) => [createRdmaPlugin(deps)]));
