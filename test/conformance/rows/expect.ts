// What several groups of rows ask in the same words.
import { describe, errorOf } from '../exec.ts';
import { type JsonObject, objectsOf, stringOf } from '../json.ts';
import { expectThat, notApplicable } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import type { Attachment, Verb, World } from '../world.ts';

export const VALID_ATTACHMENTS = 'cni.dev/valid-attachments';

/** Calls the verb for a new pod with a changed configuration, and expects that error. */
export async function expectCode(world: World, verb: Verb, change: JsonObject, code: number): Promise<void> {
  const pod = await world.pod();
  const prevResult = verb === 'CHECK' ? { prevResult: { interfaces: [], ips: [] } } : {};
  const conf = world.conf({ ...prevResult, ...change });
  const attached = verb === 'GC' || verb === 'STATUS' ? {} : { pod };
  const outcome = await world.call(verb, { ...attached, conf });
  expectThat(outcome.exitCode !== 0 && errorOf(outcome)?.code === code, describe(outcome));
}

/** GC as a runtime sends it; the row fails where it does. */
export async function gc(world: World, valid: readonly Attachment[], base = world.conf()): Promise<void> {
  const list = valid.map(({ pod }) => ({ containerID: pod.containerId, ifname: pod.ifname }));
  const outcome = await world.call('GC', { conf: { ...base, [VALID_ATTACHMENTS]: list } });
  expectThat(outcome.exitCode === 0, `GC: ${describe(outcome)}`);
}

/** Ends the row where the plugin does not speak 1.1.0. */
export function expectOneOne(world: World): void {
  if (!isAtLeast(world.target.newest, '1.1.0')) notApplicable('the plugin does not support 1.1.0');
}

/** The first address of a result. */
export function addressOf({ result }: Pick<Attachment, 'result'>): string | undefined {
  return stringOf(objectsOf(result.ips)[0]?.address);
}
