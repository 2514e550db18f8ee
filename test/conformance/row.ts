// What a row of the table is: one sentence of the specification that a plugin can be held to from outside.
import type { World } from './world.ts';

type Level = 'MUST' | 'SHOULD';
/** What the plugin is, since the specification asks different things of each. */
export type Kind = 'interface' | 'chained' | 'ipam' | 'meta';

export interface Row {
  /** `<group>.<what>`: what `--allow` and the tests name. */
  readonly id: string;
  readonly level: Level;
  /** Section of CNI specification 1.1.0. */
  readonly section: string;
  readonly sentence: string;
  /** The kinds that it applies to; all where absent. */
  readonly kinds?: readonly Kind[];
  /**
   * Tries it in a world of its own.
   * @throws RowFailed with what was seen; NotApplicable with why it cannot be asked of this plugin
   */
  readonly try: (world: World) => Promise<void>;
}

export class RowFailed extends Error {
  override readonly name = 'RowFailed';
}

export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** Ends the row as failed, with what was seen. */
export function fail(seen: string): never {
  throw new RowFailed(seen);
}

/** Ends the row as not applicable, with why. */
export function notApplicable(why: string): never {
  throw new NotApplicable(why);
}

/** Fails the row with `seen` unless the condition holds. */
export function expectThat(condition: boolean, seen: string): asserts condition {
  if (!condition) fail(seen);
}
