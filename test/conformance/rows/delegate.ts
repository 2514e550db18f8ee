// Delegation of DEL, CHECK, STATUS and GC to an IPAM plugin.
import { isDeepStrictEqual } from 'node:util';
import { describe } from '../exec.ts';
import { isObject } from '../json.ts';
import { expectThat, fail, notApplicable, type Row } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import type { Verb } from '../world.ts';
import { delegateRow, PROCEDURE, type Scene } from './delegate-row.ts';
import { expectOneOne, gc, VALID_ATTACHMENTS } from './expect.ts';

export const DELEGATE_ROWS: readonly Row[] = [
  delegateRow('del', 'MUST', PROCEDURE, 'DEL executes the IPAM plugin with DEL', async (scene) => {
    await scene.world.del(await scene.world.add(await scene.world.pod(), scene.conf));
    await expectCalled(scene, 'DEL');
  }),
  delegateRow(
    'del-without-netns',
    'SHOULD',
    '2 DEL',
    'DEL releases the address also when the namespace is gone',
    async (scene) => {
      const { world, recorder, conf } = scene;
      const attachment = await world.add(await world.pod(), conf);
      await world.deleteNamespace(attachment.pod);
      const before = (await recorder.calls('DEL')).length;
      await world.after('DEL', attachment);
      expectThat((await recorder.calls('DEL')).length > before, 'the IPAM plugin was not executed with DEL');
    },
  ),
  delegateRow('del-error', 'MUST', PROCEDURE, 'DEL is an error when the IPAM plugin fails', async (scene) => {
    const attachment = await scene.world.add(await scene.world.pod(), scene.conf);
    await scene.recorder.failOn('DEL');
    const outcome = await scene.world.after('DEL', attachment);
    expectThat(outcome.exitCode !== 0, describe(outcome));
  }),
  delegateRow('check', 'MUST', PROCEDURE, 'CHECK executes the IPAM plugin with CHECK', async (scene) => {
    const { world, conf } = scene;
    if (!isAtLeast(world.target.newest, '0.4.0'))
      notApplicable('the plugin supports no version that has CHECK');
    await world.after('CHECK', await world.add(await world.pod(), conf));
    await expectCalled(scene, 'CHECK');
  }),
  delegateRow(
    'check-error',
    'MUST',
    PROCEDURE,
    'CHECK is an error when the IPAM plugin fails',
    async (scene) => {
      const { world, recorder, conf } = scene;
      if (!isAtLeast(world.target.newest, '0.4.0'))
        notApplicable('the plugin supports no version that has CHECK');
      const attachment = await world.add(await world.pod(), conf);
      await recorder.failOn('CHECK');
      const outcome = await world.after('CHECK', attachment);
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  ),
  delegateRow('status', 'MUST', '2 STATUS', 'STATUS executes the IPAM plugin with STATUS', async (scene) => {
    expectOneOne(scene.world);
    await scene.world.call('STATUS', { conf: scene.conf });
    await expectCalled(scene, 'STATUS');
  }),
  delegateRow(
    'status-error',
    'MUST',
    '2 STATUS',
    'STATUS is an error when the IPAM plugin fails',
    async (scene) => {
      expectOneOne(scene.world);
      await scene.recorder.failOn('STATUS');
      const outcome = await scene.world.call('STATUS', { conf: scene.conf });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  ),
  delegateRow(
    'gc',
    'MUST',
    '2 GC',
    'GC executes the IPAM plugin with GC and the same list of valid attachments',
    async (scene) => {
      const { world, recorder, conf } = scene;
      expectOneOne(world);
      const attachment = await world.add(await world.pod(), conf);
      await gc(world, [attachment], conf);
      const seen = (await recorder.calls('GC'))[0]?.stdin ?? fail('the IPAM plugin was not executed with GC');
      const list = isObject(seen) ? seen[VALID_ATTACHMENTS] : undefined;
      const wanted = [{ containerID: attachment.pod.containerId, ifname: attachment.pod.ifname }];
      expectThat(isDeepStrictEqual(list, wanted), `it got ${JSON.stringify(seen)}`);
    },
  ),
  delegateRow('gc-error', 'MUST', PROCEDURE, 'GC is an error when the IPAM plugin fails', async (scene) => {
    const { world, recorder, conf } = scene;
    expectOneOne(world);
    await recorder.failOn('GC');
    const outcome = await world.call('GC', { conf: { ...conf, [VALID_ATTACHMENTS]: [] } });
    expectThat(outcome.exitCode !== 0, describe(outcome));
  }),
];

async function expectCalled({ recorder }: Scene, verb: Verb): Promise<void> {
  const verbs = (await recorder.calls()).map((call) => call.verb);
  expectThat(verbs.includes(verb), `it was executed for ${verbs.join(' ') || 'nothing'}`);
}
