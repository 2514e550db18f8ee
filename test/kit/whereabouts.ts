// Whereabouts, which the benchmark compares with: built when it is asked for.
import { join } from 'node:path';
import { buildGoPrograms } from './go-module.ts';

export const WHEREABOUTS_VERSION = '0.9.4';

/** Path of the IPAM plugin. @throws Error as buildGoPrograms does */
export async function whereabouts(): Promise<string> {
  const directory = await buildGoPrograms({
    module: `whereabouts-${WHEREABOUTS_VERSION}`,
    programs: { whereabouts: 'github.com/k8snetworkplumbingwg/whereabouts/cmd' },
    cost: '(once: about a minute)',
  });
  return join(directory, 'whereabouts');
}
