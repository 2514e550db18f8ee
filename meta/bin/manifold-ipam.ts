import { createIpam } from '../../ipam/plugin.ts';
import { boot } from './boot.ts';
import { start } from './start.ts';

boot(() => void start('manifold-ipam', (deps) => [createIpam(deps)]));
