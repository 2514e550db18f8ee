// A row about delegation to an IPAM plugin: the harness puts its own in place and looks from there.
import type { JsonObject } from '../json.ts';
import type { Recorder } from '../recorder.ts';
import type { Kind, Row } from '../row.ts';
import type { World } from '../world.ts';

const KINDS: readonly Kind[] = ['interface', 'meta'];

/** A world with the recorder in the place of its IPAM plugin. */
export interface Scene {
  readonly world: World;
  readonly recorder: Recorder;
  readonly conf: JsonObject;
}

export function delegateRow(
  id: string,
  level: Row['level'],
  section: string,
  sentence: string,
  attempt: (scene: Scene) => Promise<void>,
): Row {
  return {
    id: `delegate.${id}`,
    level,
    section,
    sentence,
    kinds: KINDS,
    async try(world) {
      const recorder = await world.recorder();
      await attempt({ world, recorder, conf: recorder.conf(world.conf()) });
    },
  };
}

export const PROCEDURE = '4 Delegated plugin execution procedure';
