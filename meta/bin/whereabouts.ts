import { createWhereabouts } from '../../ipam/whereabouts/plugin.ts';
import { boot } from './boot.ts';
import { start } from './start.ts';

boot(() => void start('whereabouts', (deps) => [createWhereabouts(deps)]));
